/* SPDX-License-Identifier: Apache-2.0 */
/* Does KVM work? A device that opens is not enough (nested, half emulated):
 * a guest of one instruction is run. */
#include "serve/boot.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__
#define PAGE 4096u

/* In a child with an alarm: a broken KVM may hang. 0: "hlt" was reached. */
static int run_hlt(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, cpu, len;
	struct kvm_userspace_memory_region mem = { .guest_phys_addr = PAGE,
		.memory_size = PAGE };
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = PAGE, .rflags = 2 };
	struct kvm_run *run;
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (kvm < 0 || page == MAP_FAILED ||
		ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return 1;
	page[0] = 0xf4; /* hlt */
	mem.userspace_addr = (uintptr_t)page;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &mem))
		return 1;
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	len = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (cpu < 0 || len < (int)sizeof(*run) ||
		ioctl(cpu, KVM_GET_SREGS, &sregs))
		return 1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	run = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, cpu,
		0);
	if (run == MAP_FAILED || ioctl(cpu, KVM_SET_SREGS, &sregs) ||
		ioctl(cpu, KVM_SET_REGS, &regs) || ioctl(cpu, KVM_RUN, 0))
		return 1;
	return run->exit_reason != KVM_EXIT_HLT;
}

static bool kvm_works(void)
{
	int status;
	pid_t pid;

	if (access("/dev/kvm", R_OK | W_OK))
		return false;
	pid = fork();
	if (!pid) {
		alarm(2);
		_exit(run_hlt());
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) && !WEXITSTATUS(status);
}
#else
static bool kvm_works(void)
{
	return !access("/dev/kvm", R_OK | W_OK);
}
#endif

const char *boot_accel(void)
{
	const char *env = getenv("STRATA_ACCEL");

	if (env && *env)
		return env;
	return kvm_works() ? "kvm" : "tcg";
}
