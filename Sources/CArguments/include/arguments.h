#pragma once

/// The command line as the kernel gave it to this process: `ca_count` strings, the program's name first.
///
/// Swift's `CommandLine.arguments` on Linux is read from /proc/self/cmdline and is empty where /proc is not mounted
/// (a chroot, a bare container); the command would then do as if nothing had been asked of it.
int ca_count(void);
char *const *ca_values(void);
