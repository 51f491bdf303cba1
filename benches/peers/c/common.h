/* What the C peers share: the command line, the listening socket, and the signals that stop them. */
#ifndef PEERS_COMMON_H
#define PEERS_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 4096 };

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void usage(const char *name, const char *options)
{
	fprintf(stderr, "usage: %s %s\n", name, options);
	exit(2);
}

static inline const char *value_of(int argc, char **argv, int *i)
{
	if (*i + 1 >= argc) {
		fprintf(stderr, "%s needs a value\n", argv[*i]);
		exit(2);
	}
	return argv[++*i];
}

static inline unsigned number_of(int argc, char **argv, int *i, unsigned low, unsigned high)
{
	const char *name = argv[*i], *text = value_of(argc, argv, i);
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < low || value > high) {
		fprintf(stderr, "%s takes a number from %u to %u, not %s\n", name, low, high, text);
		exit(2);
	}
	return (unsigned)value;
}

/* Listens on "1.2.3.4:5"; accepted sockets inherit TCP_NODELAY, which saves a call for each. */
static inline int listen_on(const char *address, int type_flags)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct rlimit files;
	char host[64];
	int port, one = 1;

	if (sscanf(address, "%63[0-9.]:%d", host, &port) != 2 || port < 0 || port > 65535 ||
	    inet_pton(AF_INET, host, &at.sin_addr) != 1) {
		fprintf(stderr, "--listen takes IPv4:PORT, not %s\n", address);
		exit(2);
	}
	at.sin_port = htons((uint16_t)port);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		die("SO_REUSEADDR");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		die("TCP_NODELAY");
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
	if (listen(fd, LISTEN_BACKLOG) < 0)
		die("listen");
	return fd;
}

/* A descriptor that becomes readable on SIGINT or SIGTERM: no race between a test and a wait. */
static inline int stop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		die("sigprocmask");
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		die("signalfd");
	return fd;
}

static inline void announce(int fd)
{
	struct sockaddr_in at;
	socklen_t length = sizeof(at);
	char host[INET_ADDRSTRLEN];

	if (getsockname(fd, (struct sockaddr *)&at, &length) < 0)
		die("getsockname");
	inet_ntop(AF_INET, &at.sin_addr, host, sizeof(host));
	printf("listening on %s:%d\n", host, ntohs(at.sin_port));
	fflush(stdout);
}

#endif
