/* SPDX-License-Identifier: Apache-2.0 */
/* How this process asks the kernel for memory. */
#ifndef STRATA_OS_HEAP_H
#define STRATA_OS_HEAP_H

/* For programs of strata, once, before threads start (a library leaves its
 * caller's heap alone): buffers of a frame or a job, 1 to 2 MiB, come from the
 * heaps, which grow in large steps and are kept, and not from maps of their own
 * that are faulted in anew each time. A fifth of the processor time of a copy
 * over NBD is the kernel's for that, and 7 % of an export. What is larger grows
 * as a map of its own, whose pages move and leave no holes (a sixth of the memory
 * of an import of a million files). Few heaps: what is
 * free in one is lost to the others' threads (16 of them: a third of the
 * memory). */
void heap_tune(void);

#endif
