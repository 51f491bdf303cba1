/*
 * A TCP echo server on epoll: one thread, level-triggered.
 *
 * One read per readiness event: a second read, only to see EAGAIN, would cost a system call per
 * message, and a level-triggered event comes back by itself if more is there. All connections
 * share one read buffer, which stays in the cache. What a write does not take is copied aside,
 * and the connection is not read again until it is out, so a slow reader costs at most one buffer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { EVENTS_MAX = 1024 };

/* What a write did not take; `data` is NULL for nearly every connection nearly always. */
struct conn {
	int fd;
	unsigned sent, length;
	char *data;
};

static int epoll_fd, listen_fd;
static bool listening = true;
static struct conn listener_tag, signal_tag;
static unsigned buffer_size = 4096;
static char *scratch;
static unsigned long long system_calls, messages;

static void watch(int operation, int fd, unsigned events, void *tag)
{
	struct epoll_event event = { .events = events, .data.ptr = tag };

	system_calls++;
	if (epoll_ctl(epoll_fd, operation, fd, &event) < 0)
		die("epoll_ctl");
}

static void close_conn(struct conn *conn)
{
	/* The descriptor was never duplicated, so closing it also takes it out of the epoll set. */
	close(conn->fd);
	system_calls++;
	free(conn->data);
	free(conn);
	if (!listening) {
		watch(EPOLL_CTL_MOD, listen_fd, EPOLLIN, &listener_tag);
		listening = true;
	}
}

static void accept_all(void)
{
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		system_calls++;
		if (fd < 0) {
			if (errno == EAGAIN)
				return;
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
				/* Level-triggered, it would spin; a close brings the listener back. */
				watch(EPOLL_CTL_MOD, listen_fd, 0, &listener_tag);
				listening = false;
				return;
			}
			continue; /* the connection died in the queue, or a signal came */
		}
		struct conn *conn = calloc(1, sizeof(*conn));

		if (!conn)
			die("calloc");
		conn->fd = fd;
		watch(EPOLL_CTL_ADD, fd, EPOLLIN, conn);
	}
}

/* Sends as much as fits now; negative if the connection is broken. */
static ssize_t send_some(int fd, const char *data, size_t length)
{
	size_t sent = 0;

	while (sent < length) {
		ssize_t n = send(fd, data + sent, length - sent, MSG_NOSIGNAL);

		system_calls++;
		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			break;
		else if (n < 0 && errno == EINTR)
			continue;
		else
			return -1;
	}
	return (ssize_t)sent;
}

static void readable(struct conn *conn)
{
	ssize_t got = recv(conn->fd, scratch, buffer_size, 0);

	system_calls++;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		/* At the end of input nothing is owed: reading had stopped while a rest was unsent. */
		close_conn(conn);
		return;
	}
	messages++;
	ssize_t sent = send_some(conn->fd, scratch, (size_t)got);

	if (sent < 0) {
		close_conn(conn);
		return;
	}
	if (sent < got) {
		if (!conn->data && !(conn->data = malloc(buffer_size)))
			die("malloc");
		conn->sent = 0;
		conn->length = (unsigned)(got - sent);
		memcpy(conn->data, scratch + sent, conn->length);
		watch(EPOLL_CTL_MOD, conn->fd, EPOLLOUT, conn);
	}
}

static void writable(struct conn *conn)
{
	ssize_t sent = send_some(conn->fd, conn->data + conn->sent, conn->length - conn->sent);

	if (sent < 0) {
		close_conn(conn);
		return;
	}
	conn->sent += (unsigned)sent;
	if (conn->sent == conn->length) {
		free(conn->data);
		conn->data = NULL;
		watch(EPOLL_CTL_MOD, conn->fd, EPOLLIN, conn);
	}
}

int main(int argc, char **argv)
{
	const char *address = NULL;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--listen"))
			address = value_of(argc, argv, &i);
		else if (!strcmp(argv[i], "--buffer-size"))
			buffer_size = number_of(argc, argv, &i, 1, 1 << 24);
		else
			usage(argv[0], "--listen ADDR [--buffer-size B]");
	}
	if (!address)
		usage(argv[0], "--listen ADDR [--buffer-size B]");
	scratch = malloc(buffer_size);
	if (!scratch)
		die("malloc");
	listen_fd = listen_on(address, SOCK_NONBLOCK);
	int signals = stop_signals();

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll_create1");
	watch(EPOLL_CTL_ADD, listen_fd, EPOLLIN, &listener_tag);
	watch(EPOLL_CTL_ADD, signals, EPOLLIN, &signal_tag);
	announce(listen_fd);

	struct epoll_event events[EVENTS_MAX];
	bool stop = false;

	while (!stop) {
		int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		system_calls++;
		if (count < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < count; i++) {
			/* One event per descriptor and wait, so a connection freed here is not met again. */
			struct conn *conn = events[i].data.ptr;

			if (conn == &signal_tag)
				stop = true;
			else if (conn == &listener_tag)
				accept_all();
			else if (conn->data)
				writable(conn);
			else
				readable(conn);
		}
	}
	printf("enters %llu messages %llu\n", system_calls, messages);
	return 0;
}
