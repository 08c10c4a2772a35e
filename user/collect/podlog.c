/* SPDX-License-Identifier: Apache-2.0 */
#include "podlog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A node has some hundred containers; ended ones stay for a while. */
#define ENTRIES_MAX 8192

typedef int (*parse_fn)(const char *name, const char *key, struct podname *ret);

static DIR *open_dir(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* Only entries whose name cannot be a hidden one's, "." and ".." included. */
static struct dirent *next(DIR *dir)
{
	struct dirent *e;

	do {
		e = readdir(dir);
	} while (e && e->d_name[0] == '.');
	return e;
}

/* The one folder in @path, whose name is the container's; several: stays unknown. */
static int only_container(int at, const char *path, char **ret)
{
	DIR *dir = open_dir(at, path);
	struct dirent *e, *again;
	int err = 0;

	if (!dir)
		return 0;
	e = next(dir);
	if (e && e->d_type == DT_DIR) {
		char *name = strdup(e->d_name);

		again = next(dir);
		if (!name)
			err = -ENOMEM;
		else if (!again)
			*ret = name;
		if (again)
			free(name);
	}
	closedir(dir);
	return err;
}

static int search(int root, const char *folder, parse_fn parse, const char *key,
		  struct podname *ret)
{
	DIR *dir = open_dir(root, folder);
	int err = -ENOENT;
	struct dirent *e;

	if (!dir)
		return -ENOENT;
	for (int i = 0; err == -ENOENT && i < ENTRIES_MAX && (e = next(dir)); i++) {
		err = parse(e->d_name, key, ret);
		if (!err && !ret->container)
			err = only_container(dirfd(dir), e->d_name, &ret->container);
	}
	closedir(dir);
	return err;
}

int podlog_find(const char *root, const char *container, const char *pod_uid, struct podname *ret)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = -ENOENT;
	struct podname p = {0};

	if (fd < 0)
		return -ENOENT;
	if (container)
		err = search(fd, "containers", podname_from_log, container, &p);
	if (err == -ENOENT && pod_uid)
		err = search(fd, "pods", podname_from_folder, pod_uid, &p);
	close(fd);
	if (err)
		podname_release(&p);
	else
		*ret = p;
	return err;
}
