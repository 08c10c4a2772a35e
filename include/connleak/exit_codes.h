/* SPDX-License-Identifier: Apache-2.0 */
/* exit_codes.h - the same everywhere, a contract with callers */
#ifndef CONNLEAK_EXIT_CODES_H
#define CONNLEAK_EXIT_CODES_H

enum exit_code {
	EXIT_CLEAN = 0,	       /* clean, or pass */
	EXIT_LEAK = 1,	       /* leak found */
	EXIT_USAGE = 2,	       /* wrong usage or configuration */
	EXIT_CANNOT = 3,       /* this machine, or these privileges, cannot do it */
	EXIT_INCONCLUSIVE = 4, /* the verdict is inconclusive */
	EXIT_FAILED = 5	       /* failed while running */
};

#endif
