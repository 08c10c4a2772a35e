/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd.h - the commands: one file each, one line each in main.c's table
 *
 * Each takes its own argv (argv[0] is what messages start with) and returns an exit code.
 */
#ifndef CONNLEAK_CMD_H
#define CONNLEAK_CMD_H

int cmd_top(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_canary(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
