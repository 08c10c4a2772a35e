/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_STEPS   100
#define STOP_STEP_NS (50 * 1000 * 1000)

int program_prepare(void)
{
	/* a caller that ignores it would hide the program's end */
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return -errno;
	return prctl(PR_SET_CHILD_SUBREAPER, 1) ? -errno : 0;
}

/* Whom to run as: NULL stays NULL for "as ourselves". */
static int find_user(const char *name, struct passwd **ret)
{
	struct passwd *user;

	if (!name && geteuid() == 0)
		name = getenv("SUDO_USER");
	if (!name) {
		*ret = NULL;
		return 0;
	}
	user = getpwnam(name);
	/* "not found" has many errnos */
	if (!user)
		return -ESRCH;
	*ret = user;
	return 0;
}

static int become(const struct passwd *user)
{
	if (!user || user->pw_uid == geteuid())
		return 0;
	if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))
		return -errno;
	setenv("HOME", user->pw_dir, 1);
	setenv("USER", user->pw_name, 1);
	setenv("LOGNAME", user->pw_name, 1);
	return 0;
}

/* In the child: never returns. What went wrong goes through @report as an errno. */
static void run(char *const argv[], const struct passwd *user, int report)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	err = dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? -errno : become(user);
	/* after become(), which would undo it: nobody else ends what a killed connleak has started */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (!err) {
		execvp(argv[0], argv);
		err = -errno;
	}
	err = -err;
	if (write(report, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

int program_start(struct program *p, char *const argv[], const char *user_name)
{
	struct passwd *user = NULL;
	int report[2], err, problem = 0;
	pid_t pid;
	ssize_t n;

	err = find_user(user_name, &user);
	if (err)
		return err;
	if (pipe2(report, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0)
		run(argv, user, report[1]);
	err = pid < 0 ? -errno : 0;
	close(report[1]);
	/* the pipe closes by itself when the program runs */
	do
		n = err ? 0 : read(report[0], &problem, sizeof(problem));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (!err && n == sizeof(problem)) {
		waitpid(pid, NULL, 0);
		err = -problem;
	}
	if (!err)
		*p = (struct program){.pid = pid, .status = -1, .signal = -1};
	return err;
}

void program_reap(struct program *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != p->pid)
			continue;
		p->is_reaped = true;
		if (WIFEXITED(status))
			p->status = WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			p->signal = WTERMSIG(status);
	}
	if (pid < 0 && errno == ECHILD)
		p->is_gone = true;
}

/* Those that are ours by now: the program, and orphans of it, each of which comes to us. */
static void signal_children(int signal)
{
	char path[64];
	long child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
	f = fopen(path, "re");
	if (!f)
		return;
	while (fscanf(f, "%ld", &child) == 1) {
		kill((pid_t)child, signal);
		/* one that is stopped would never hear of it */
		kill((pid_t)child, SIGCONT);
	}
	fclose(f);
}

static bool wait_gone(struct program *p, int signal)
{
	const struct timespec step = {.tv_nsec = STOP_STEP_NS};

	for (int i = 0; i < STOP_STEPS && !p->is_gone; i++) {
		/* orphans arrive as their parents end */
		signal_children(signal);
		nanosleep(&step, NULL);
		program_reap(p);
	}
	return p->is_gone;
}

void program_stop(struct program *p)
{
	if (!p->pid || p->is_gone || p->is_stopped)
		return;
	p->is_stopped = true;
	program_reap(p);
	/* its group bears its number only while it has not been collected */
	if (!p->is_reaped)
		kill(-p->pid, SIGTERM);
	if (wait_gone(p, SIGTERM))
		return;
	if (!p->is_reaped)
		kill(-p->pid, SIGKILL);
	wait_gone(p, SIGKILL);
}
