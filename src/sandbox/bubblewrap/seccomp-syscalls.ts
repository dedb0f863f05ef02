/** Architectures that a filter can be made for, in Node's names. */
export type SeccompArch = 'x64' | 'arm64'

/** One system call's number on each architecture; null where it does not exist. */
export interface Syscall {
  name: string
  x64: number | null
  arm64: number | null
}

const call = (name: string, x64: number | null, arm64: number | null): Syscall => ({ name, x64, arm64 })
/** From 424 on the numbers are the same everywhere. */
const shared = (name: string, nr: number): Syscall => call(name, nr, nr)

/**
 * Refused with EPERM. Numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`.
 * `ptrace` is not among them: every process in a sandbox has the same filter, host and its secrets are not dumpable, and
 * debuggers and leak sanitizers need it.
 */
export const DENIED: readonly Syscall[] = [
  // Mounts, also by the new API, and changes of root.
  call('mount', 165, 40),
  call('umount2', 166, 39),
  call('pivot_root', 155, 41),
  call('chroot', 161, 51),
  shared('open_tree', 428),
  shared('move_mount', 429),
  shared('fsopen', 430),
  shared('fsconfig', 431),
  shared('fsmount', 432),
  shared('fspick', 433),
  shared('mount_setattr', 442),
  shared('statmount', 457),
  shared('listmount', 458),
  // Other namespaces.
  call('setns', 308, 268),
  // Keyrings are not confined by namespaces.
  call('keyctl', 250, 219),
  call('add_key', 248, 217),
  call('request_key', 249, 218),
  // Large parts of the kernel that a build or a test does not need.
  call('bpf', 321, 280),
  call('perf_event_open', 298, 241),
  call('userfaultfd', 323, 282),
  shared('io_uring_setup', 425),
  shared('io_uring_enter', 426),
  shared('io_uring_register', 427),
  call('fanotify_init', 300, 262),
  call('fanotify_mark', 301, 263),
  call('modify_ldt', 154, null),
  // Modules and kernels.
  call('kexec_load', 246, 104),
  call('kexec_file_load', 320, 294),
  call('create_module', 174, null),
  call('init_module', 175, 105),
  call('finit_module', 313, 273),
  call('delete_module', 176, 106),
  call('get_kernel_syms', 177, null),
  call('query_module', 178, null),
  // Files by handle leave a mount.
  call('name_to_handle_at', 303, 264),
  call('open_by_handle_at', 304, 265),
  // Other processes' memory and descriptors.
  call('process_vm_readv', 310, 270),
  call('process_vm_writev', 311, 271),
  shared('process_madvise', 440),
  shared('pidfd_getfd', 438),
  call('kcmp', 312, 272),
  call('migrate_pages', 256, 238),
  call('move_pages', 279, 239),
  // The machine as a whole.
  call('quotactl', 179, 60),
  shared('quotactl_fd', 443),
  call('swapon', 167, 224),
  call('swapoff', 168, 225),
  call('reboot', 169, 142),
  call('acct', 163, 89),
  call('settimeofday', 164, 170),
  call('clock_settime', 227, 112),
  call('clock_adjtime', 305, 266),
  call('adjtimex', 159, 171),
  call('sethostname', 170, 161),
  call('setdomainname', 171, 162),
  call('syslog', 103, 116),
  call('vhangup', 153, 58),
  call('iopl', 172, null),
  call('ioperm', 173, null),
  // Obsolete.
  call('nfsservctl', 180, 42),
  call('uselib', 134, null),
  call('ustat', 136, null),
  call('sysfs', 139, null),
  call('_sysctl', 156, null),
  call('lookup_dcookie', 212, 18),
]

/** Answered with ENOSYS: its flags lie in memory, where a filter cannot look, and libraries fall back to `clone`. */
export const CLONE3 = shared('clone3', 435)

/** Decided by an argument. */
export const CLONE = call('clone', 56, 220)
export const UNSHARE = call('unshare', 272, 97)
export const IOCTL = call('ioctl', 16, 29)
export const PERSONALITY = call('personality', 135, 92)
export const SOCKET = call('socket', 41, 198)
export const SOCKETPAIR = call('socketpair', 53, 199)

/** The last number that was reviewed (mseal). What the kernel learns later is answered with ENOSYS. */
export const LAST_REVIEWED = 462

/** x86_64 has nothing that programs call between these. */
export const X64_HOLE: readonly [number, number] = [335, 423]
