"""Which package of a distribution brings a header, a library or a program that a build misses, as data."""

from __future__ import annotations

import fnmatch
import functools
from dataclasses import dataclass
from typing import Literal

# headers | names (of pkg-config, CMake and the linker) | programs | Debian, Ubuntu | Fedora, RHEL | Alpine. A dash: there is none.
_TABLE = """
Python.h pyconfig.h patchlevel.h | python3 python python-3.* python3-embed | python3-config | python3-dev | python3-devel | python3-dev
stdio.h stdlib.h stddef.h string.h limits.h math.h errno.h features.h sys/types.h sys/cdefs.h bits/* crt1.o | c m | | libc6-dev | glibc-devel | musl-dev
linux/* asm/* asm-generic/* | | | linux-libc-dev | kernel-headers | linux-headers
ffi.h ffitarget.h ffi/* | libffi ffi | | libffi-dev | libffi-devel | libffi-dev
openssl/* | openssl libssl libcrypto ssl crypto | | libssl-dev | openssl-devel | openssl-dev
gnutls/* | gnutls | | libgnutls28-dev | gnutls-devel | gnutls-dev
gcrypt.h | libgcrypt gcrypt | libgcrypt-config | libgcrypt20-dev | libgcrypt-devel | libgcrypt-dev
gpgme.h | gpgme | gpgme-config | libgpgme-dev | gpgme-devel | gpgme-dev
sodium.h sodium/* | libsodium sodium | | libsodium-dev | libsodium-devel | libsodium-dev
libxml/* libxml2/* | libxml-2.0 libxml2 xml2 | xml2-config | libxml2-dev | libxml2-devel | libxml2-dev
libxslt/* libexslt/* | libxslt libexslt xslt exslt | xslt-config | libxslt1-dev | libxslt-devel | libxslt-dev
xmlsec/* | xmlsec1 xmlsec1-openssl | xmlsec1-config | libxmlsec1-dev | xmlsec1-devel xmlsec1-openssl-devel | xmlsec-dev
expat.h | expat | | libexpat1-dev | expat-devel | expat-dev
yaml.h | yaml-0.1 yaml | | libyaml-dev | libyaml-devel | yaml-dev
libpq-fe.h libpq/* postgres_ext.h pg_config.h | libpq pq postgresql | pg_config | libpq-dev | libpq-devel | libpq-dev
mysql.h mysql/* my_config.h mariadb/* | mysqlclient mariadb libmariadb perconaserverclient mysql | mysql_config mariadb_config | default-libmysqlclient-dev | mariadb-connector-c-devel | mariadb-connector-c-dev
sqlite3.h | sqlite3 sqlite | | libsqlite3-dev | sqlite-devel | sqlite-dev
sql.h sqlext.h sqltypes.h odbcinst.h | odbc unixodbc | odbc_config | unixodbc-dev | unixODBC-devel | unixodbc-dev
sqlfront.h sybdb.h ctpublic.h | sybdb ct freetds | | freetds-dev | freetds-devel | freetds-dev
sqlcipher/* | sqlcipher | | libsqlcipher-dev | sqlcipher-devel | sqlcipher-dev
db.h db_185.h | db libdb | | libdb-dev | libdb-devel | db-dev
gdbm.h | gdbm | | libgdbm-dev | gdbm-devel | gdbm-dev
lmdb.h | lmdb | | liblmdb-dev | lmdb-devel | lmdb-dev
leveldb/* | leveldb | | libleveldb-dev | leveldb-devel | leveldb-dev
rocksdb/* | rocksdb | | librocksdb-dev | rocksdb-devel | rocksdb-dev
hiredis/* | hiredis | | libhiredis-dev | hiredis-devel | hiredis-dev
librdkafka/* | rdkafka librdkafka | | librdkafka-dev | librdkafka-devel | librdkafka-dev
libmemcached/* | libmemcached memcached | | libmemcached-dev | libmemcached-devel | libmemcached-dev
zmq.h | libzmq zmq zeromq | | libzmq3-dev | zeromq-devel | zeromq-dev
nanomsg/* | nanomsg | | libnanomsg-dev | nanomsg-devel | nanomsg-dev
curl/* | libcurl curl | curl-config | libcurl4-openssl-dev | libcurl-devel | curl-dev
nghttp2/* | libnghttp2 nghttp2 | | libnghttp2-dev | libnghttp2-devel | nghttp2-dev
libssh/* | libssh ssh | | libssh-dev | libssh-devel | libssh-dev
libssh2.h | libssh2 ssh2 | | libssh2-1-dev | libssh2-devel | libssh2-dev
git2.h git2/* | libgit2 git2 | | libgit2-dev | libgit2-devel | libgit2-dev
ev.h | libev ev | | libev-dev | libev-devel | libev-dev
event.h event2/* | libevent event | | libevent-dev | libevent-devel | libevent-dev
uv.h | libuv uv | | libuv1-dev | libuv-devel | libuv-dev
ares.h | libcares cares | | libc-ares-dev | c-ares-devel | c-ares-dev
zlib.h zconf.h | zlib z | | zlib1g-dev | zlib-devel | zlib-dev
bzlib.h | bzip2 bz2 | | libbz2-dev | bzip2-devel | bzip2-dev
lzma.h | liblzma lzma | | liblzma-dev | xz-devel | xz-dev
zstd.h | libzstd zstd | | libzstd-dev | libzstd-devel | zstd-dev
lz4.h lz4frame.h | liblz4 lz4 | | liblz4-dev | lz4-devel | lz4-dev
lzo/* | lzo2 lzo | | liblzo2-dev | lzo-devel | lzo-dev
snappy.h snappy-c.h | snappy | | libsnappy-dev | snappy-devel | snappy-dev
brotli/* | libbrotlicommon libbrotlidec libbrotlienc brotli | | libbrotli-dev | brotli-devel | brotli-dev
blosc.h | blosc | | libblosc-dev | blosc-devel | blosc-dev
archive.h archive_entry.h | libarchive archive | | libarchive-dev | libarchive-devel | libarchive-dev
jpeglib.h jconfig.h | libjpeg jpeg | | libjpeg-dev | libjpeg-turbo-devel | libjpeg-turbo-dev
openjpeg.h openjpeg-2.*/* | libopenjp2 openjp2 openjpeg | | libopenjp2-7-dev | openjpeg2-devel | openjpeg-dev
png.h | libpng libpng16 png | libpng-config | libpng-dev | libpng-devel | libpng-dev
tiff.h tiffio.h | libtiff-4 libtiff tiff | | libtiff-dev | libtiff-devel | tiff-dev
webp/* | libwebp webp webpmux webpdemux | | libwebp-dev | libwebp-devel | libwebp-dev
libheif/* | libheif heif | | libheif-dev | libheif-devel | libheif-dev
lcms2.h | lcms2 | | liblcms2-dev | lcms2-devel | lcms2-dev
libraw/* | libraw raw | | libraw-dev | LibRaw-devel | libraw-dev
exiv2/* | exiv2 | | libexiv2-dev | exiv2-devel | exiv2-dev
ft2build.h freetype/* freetype2/* | freetype2 freetype | freetype-config | libfreetype-dev | freetype-devel | freetype-dev
fontconfig/* | fontconfig | | libfontconfig-dev | fontconfig-devel | fontconfig-dev
hb.h harfbuzz/* | harfbuzz | | libharfbuzz-dev | harfbuzz-devel | harfbuzz-dev
fribidi.h | fribidi | | libfribidi-dev | fribidi-devel | fribidi-dev
cairo.h cairo/* | cairo | | libcairo2-dev | cairo-devel | cairo-dev
pango/* | pango pangocairo | | libpango1.0-dev | pango-devel | pango-dev
glib.h glib-object.h gio/* | glib-2.0 gobject-2.0 gio-2.0 gmodule-2.0 | | libglib2.0-dev | glib2-devel | glib-dev
girepository.h girepository/* | gobject-introspection-1.0 girepository-1.0 | g-ir-scanner | libgirepository1.0-dev | gobject-introspection-devel | gobject-introspection-dev
- | girepository-2.0 | | libgirepository-2.0-dev | glib2-devel | glib-dev
gtk/* | gtk+-3.0 gtk+-2.0 | | libgtk-3-dev | gtk3-devel | gtk+3.0-dev
gst/* | gstreamer-1.0 gstreamer-base-1.0 | | libgstreamer1.0-dev | gstreamer1-devel | gstreamer-dev
dbus/* dbus-1.0/* | dbus-1 dbus-glib-1 | | libdbus-1-dev | dbus-devel | dbus-dev
systemd/* | libsystemd libsystemd-journal systemd | | libsystemd-dev | systemd-devel | -
libudev.h | libudev udev | | libudev-dev | systemd-devel | eudev-dev
sasl/* sasl.h | libsasl2 sasl2 | | libsasl2-dev | cyrus-sasl-devel | cyrus-sasl-dev
ldap.h lber.h ldap_* | ldap lber ldap_r | | libldap-dev | openldap-devel | openldap-dev
krb5.h gssapi.h gssapi/* com_err.h | krb5 krb5-gssapi mit-krb5 mit-krb5-gssapi gssapi_krb5 | krb5-config | libkrb5-dev | krb5-devel | krb5-dev
security/pam_* | pam | | libpam0g-dev | pam-devel | linux-pam-dev
selinux/* | libselinux selinux | | libselinux1-dev | libselinux-devel | libselinux-dev
sys/acl.h | libacl acl | | libacl1-dev | libacl-devel | acl-dev
sys/capability.h | libcap cap | | libcap-dev | libcap-devel | libcap-dev
attr/* | libattr attr | | libattr1-dev | libattr-devel | attr-dev
seccomp.h | libseccomp seccomp | | libseccomp-dev | libseccomp-devel | libseccomp-dev
fuse.h fuse/* | fuse | | libfuse-dev | fuse-devel | fuse-dev
fuse3/* | fuse3 | | libfuse3-dev | fuse3-devel | fuse3-dev
numa.h | numa | | libnuma-dev | numactl-devel | numactl-dev
pcap.h pcap/* | libpcap pcap | pcap-config | libpcap-dev | libpcap-devel | libpcap-dev
netlink/* | libnl-3.0 nl-3 | | libnl-3-dev | libnl3-devel | libnl3-dev
libvirt/* | libvirt virt | | libvirt-dev | libvirt-devel | libvirt-dev
libusb.h libusb-1.0/* | libusb-1.0 usb-1.0 libusb | | libusb-1.0-0-dev | libusb1-devel | libusb-dev
hidapi.h hidapi/* | hidapi-libusb hidapi-hidraw hidapi | | libhidapi-dev | hidapi-devel | hidapi-dev
bluetooth/* | bluez bluetooth | | libbluetooth-dev | bluez-libs-devel | bluez-dev
cups/* | cups | cups-config | libcups2-dev | cups-devel | cups-dev
winscard.h PCSC/* | libpcsclite pcsclite | | libpcsclite-dev | pcsc-lite-devel | pcsc-lite-dev
sane/* | sane-backends sane | sane-config | libsane-dev | sane-backends-devel | sane-dev
gmp.h gmpxx.h | gmp | | libgmp-dev | gmp-devel | gmp-dev
mpfr.h | mpfr | | libmpfr-dev | mpfr-devel | mpfr-dev
mpc.h | mpc | | libmpc-dev | libmpc-devel | mpc1-dev
gsl/* | gsl | gsl-config | libgsl-dev | gsl-devel | gsl-dev
cblas.h lapacke.h f77blas.h openblas_config.h | openblas blas lapack cblas | | libopenblas-dev | openblas-devel | openblas-dev
fftw3.h | fftw3 fftw3f fftw | | libfftw3-dev | fftw-devel | fftw-dev
cholmod.h umfpack.h suitesparse/* | suitesparse cholmod umfpack amd | | libsuitesparse-dev | suitesparse-devel | suitesparse-dev
Eigen/* eigen3/* | eigen3 | | libeigen3-dev | eigen3-devel | eigen-dev
boost/* | boost boost_* | | libboost-all-dev | boost-devel | boost-dev
tbb/* | tbb | | libtbb-dev | tbb-devel | onetbb-dev
mpi.h | mpi ompi ompi-c mpich | mpicc mpicxx | libopenmpi-dev | openmpi-devel | openmpi-dev
hdf5.h | hdf5 hdf5-serial | h5cc | libhdf5-dev | hdf5-devel | hdf5-dev
netcdf.h | netcdf | nc-config | libnetcdf-dev | netcdf-devel | netcdf-dev
geos_c.h geos/* | geos geos_c | geos-config | libgeos-dev | geos-devel | geos-dev
gdal.h gdal/* cpl_*.h ogr_*.h | gdal | gdal-config | libgdal-dev | gdal-devel | gdal-dev
proj.h proj_api.h | proj | | libproj-dev | proj-devel | proj-dev
spatialindex/* | libspatialindex spatialindex | | libspatialindex-dev | spatialindex-devel | libspatialindex-dev
graphviz/* cgraph.h gvc.h | libcgraph cgraph libgvc gvc | dot | graphviz libgraphviz-dev | graphviz graphviz-devel | graphviz graphviz-dev
igraph/* | igraph | | libigraph-dev | igraph-devel | igraph-dev
tesseract/* leptonica/* | tesseract lept leptonica | | libtesseract-dev | tesseract-devel | tesseract-ocr-dev
poppler/* | poppler poppler-cpp poppler-glib | | libpoppler-cpp-dev | poppler-cpp-devel | poppler-dev
MagickWand/* wand/* | MagickWand ImageMagick | Magick-config MagickWand-config | libmagickwand-dev | ImageMagick-devel | imagemagick-dev
libavcodec/* libavformat/* libavutil/* libswscale/* libswresample/* libavdevice/* libavfilter/* | libavcodec libavformat libavutil libavdevice libavfilter libswscale libswresample avcodec avformat avutil | | libavdevice-dev libavfilter-dev libavformat-dev | ffmpeg-free-devel | ffmpeg-dev
portaudio.h | portaudio-2.0 portaudio | | portaudio19-dev | portaudio-devel | portaudio-dev
sndfile.h | sndfile | | libsndfile1-dev | libsndfile-devel | libsndfile-dev
alsa/* | alsa asound | | libasound2-dev | alsa-lib-devel | alsa-lib-dev
pulse/* | libpulse pulse | | libpulse-dev | pulseaudio-libs-devel | pulseaudio-dev
jack/* | jack | | libjack-dev | jack-audio-connection-kit-devel | jack-dev
SDL.h SDL2/* | sdl2 SDL2 | sdl2-config | libsdl2-dev | SDL2-devel | sdl2-dev
GL/* EGL/* GLES2/* | gl egl glesv2 OpenGL | | libgl-dev libegl-dev | mesa-libGL-devel mesa-libEGL-devel | mesa-dev
GLFW/* | glfw3 glfw | | libglfw3-dev | glfw-devel | glfw-dev
X11/* | x11 X11 xext xrandr | | libx11-dev | libX11-devel | libx11-dev
xcb/* | xcb | | libxcb1-dev | libxcb-devel | libxcb-dev
wayland-client.h | wayland-client | wayland-scanner | libwayland-dev | wayland-devel | wayland-dev
tk.h tcl.h | tk tcl tk86 | | tk-dev | tk-devel | tk-dev
readline/* | readline | | libreadline-dev | readline-devel | readline-dev
curses.h ncurses.h ncurses/* term.h | ncurses ncursesw curses tinfo | ncurses6-config | libncurses-dev | ncurses-devel | ncurses-dev
uuid/* | uuid | | uuid-dev | libuuid-devel | util-linux-dev
unicode/* | icu-uc icu-i18n icu-io icuuc icui18n icu | icu-config | libicu-dev | libicu-devel | icu-dev
pcre.h | libpcre pcre | pcre-config | libpcre3-dev | pcre-devel | pcre-dev
pcre2.h | libpcre2-8 pcre2-8 pcre2 | pcre2-config | libpcre2-dev | pcre2-devel | pcre2-dev
re2/* | re2 | | libre2-dev | re2-devel | re2-dev
oniguruma.h | oniguruma onig | onig-config | libonig-dev | oniguruma-devel | oniguruma-dev
hunspell/* hunspell.hxx | hunspell | | libhunspell-dev | hunspell-devel | hunspell-dev
enchant.h | enchant-2 enchant | | libenchant-2-dev | enchant2-devel | enchant2-dev
magic.h | libmagic magic | | libmagic-dev | file-devel | file-dev
yara.h yara/* | yara | | libyara-dev | yara-devel | yara-dev
capstone/* | capstone | | libcapstone-dev | capstone-devel | capstone-dev
elf.h libelf.h gelf.h | libelf elf | | libelf-dev | elfutils-libelf-devel | elfutils-dev
libunwind.h | libunwind unwind | | libunwind-dev | libunwind-devel | libunwind-dev
rpm/* | rpm | | librpm-dev | rpm-devel | rpm-dev
apt-pkg/* | apt-pkg | | libapt-pkg-dev | - | -
google/protobuf/* | protobuf | protoc | libprotobuf-dev protobuf-compiler | protobuf-devel protobuf-compiler | protobuf-dev protoc
capnp/* | capnp | capnp | libcapnp-dev | capnproto-devel | capnproto-dev
arrow/* | arrow | | - | libarrow-devel | apache-arrow-dev
llvm/* llvm-c/* | llvm | llvm-config | llvm-dev | llvm-devel | llvm-dev
clang/* clang-c/* | clang | | libclang-dev | clang-devel | clang-dev
- | | pkg-config pkgconf | pkg-config | pkgconf-pkg-config | pkgconf
- | | make gmake | make | make | make
- | | autoconf autoreconf autoheader | autoconf | autoconf | autoconf
- | | automake aclocal | automake | automake | automake
- | | libtool libtoolize | libtool | libtool | libtool
- | | gettext msgfmt xgettext | gettext | gettext | gettext
- | | bison yacc | bison | bison | bison
- | | flex lex | flex | flex | flex
- | | perl | perl | perl | perl
- | | patch | patch | patch | patch
- | | unzip | unzip | unzip | unzip
- | | go | golang-go | golang | go
- | | node npm | nodejs npm | nodejs npm | nodejs npm
- | | javac java | default-jdk-headless | java-devel | openjdk21
- | | qmake | qtbase5-dev | qt5-qtbase-devel | qt5-qtbase-dev
"""  # noqa: E501 (a table)

Kind = Literal["header", "name", "program"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    headers: tuple[str, ...]
    names: tuple[str, ...]
    programs: tuple[str, ...]
    packages: tuple[str, str, str]


@functools.cache
def _rows() -> tuple[_Row, ...]:
    rows = []
    for line in _TABLE.strip().splitlines():
        headers, names, programs, debian, fedora, alpine = (cell.strip() for cell in line.split("|"))
        rows.append(
            _Row(
                headers=tuple(name for name in headers.split() if name != "-"),
                names=tuple(name.lower() for name in names.split()),
                programs=tuple(programs.split()),
                packages=(debian, fedora, alpine),
            )
        )
    return tuple(rows)


def packages_with(kind: Kind, what: str) -> str | None:
    """The packages that bring a header, a program or something by its name, in words; None where none is known.

    >>> packages_with("header", "ffi.h")
    'libffi-dev (Debian, Ubuntu, Alpine) or libffi-devel (Fedora, RHEL)'
    """
    for row in _rows():
        if kind == "header":
            found = any(fnmatch.fnmatchcase(what, pattern) for pattern in row.headers)
        elif kind == "name":
            found = any(fnmatch.fnmatchcase(what.lower(), pattern) for pattern in row.names)
        else:
            found = what in row.programs
        if found:
            return _told(row.packages)
    return None


def _told(packages: tuple[str, str, str]) -> str:
    where: dict[str, list[str]] = {}
    for package, systems in zip(packages, (("Debian", "Ubuntu"), ("Fedora", "RHEL"), ("Alpine",)), strict=True):
        if package != "-":
            where.setdefault(" ".join(package.split()), []).extend(systems)
    told = [f"{package.replace(' ', ' and ')} ({', '.join(systems)})" for package, systems in where.items()]
    return f"{', '.join(told[:-1])} or {told[-1]}" if len(told) > 1 else told[0]
