"""What has no wheel becomes one."""
