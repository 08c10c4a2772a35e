/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.h - what stdout is, and what it can show */
#ifndef CONNLEAK_TERMINAL_H
#define CONNLEAK_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* Columns of the terminal on stdout; COLUMNS if it is set; 0 where stdout is none. */
unsigned terminal_width(void);
/* The locale's character set is not UTF-8. */
bool terminal_is_ascii(void);
/* Seconds east of Greenwich, now. */
int32_t terminal_utc_offset_s(void);

#endif
