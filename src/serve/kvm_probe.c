/* SPDX-License-Identifier: Apache-2.0 */
/* Does KVM work? A device that opens is not enough (nested, half emulated): a
 * guest of a few instructions is run. A halt alone is not enough either: there
 * are hosts that run it, and then fail on the iret of a boot loader. */
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

#define GDT (PAGE / 2)

static const uint8_t code[] = {
	0x9c,			/* pushf */
	0x6a, 8,		/* push the code segment */
	0x68, 0x10, 0x10, 0, 0, /* push PAGE + 0x10 */
	0xcf,			/* iret */
	0, 0, 0, 0, 0, 0, 0,
	0xf4, /* 0x10: hlt */
};
static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };

/* Protected mode, flat segments of 32 bits (Intel's manual, volume 3, 3.4.5). */
static void protect(struct kvm_sregs *s)
{
	struct kvm_segment seg = { .limit = 0xffffffff, .selector = 8,
		.type = 11, .present = 1, .db = 1, .s = 1, .g = 1 };

	s->cs = seg;
	seg.selector = 16;
	seg.type = 3;
	s->ds = s->es = s->fs = s->gs = s->ss = seg;
	s->gdt.base = PAGE + GDT;
	s->gdt.limit = sizeof(gdt) - 1;
	s->cr0 |= 1;
}

/* In a child with an alarm: a broken KVM may hang. 0: "hlt" was reached. */
static int run_guest(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, cpu, len;
	struct kvm_userspace_memory_region mem = { .guest_phys_addr = PAGE,
		.memory_size = PAGE };
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = PAGE,
		.rsp = PAGE + GDT - 16,
		.rflags = 2 };
	struct kvm_run *run;
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (kvm < 0 || page == MAP_FAILED ||
		ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return 1;
	memcpy(page, code, sizeof(code));
	memcpy(page + GDT, gdt, sizeof(gdt));
	mem.userspace_addr = (uintptr_t)page;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &mem))
		return 1;
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	len = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (cpu < 0 || len < (int)sizeof(*run) ||
		ioctl(cpu, KVM_GET_SREGS, &sregs))
		return 1;
	protect(&sregs);
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
		_exit(run_guest());
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
