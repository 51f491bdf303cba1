/*
 * A TCP echo server on liburing: one thread, one ring, one io_uring_enter per turn.
 *
 * By default: multishot accept, multishot receive from a ring of buffers, and ONE send in flight
 * per connection. What is received meanwhile waits in a queue of the connection, so the bytes
 * leave in order whatever the kernel does, and a short send goes on where it stopped.
 *
 * Options, for ablations:
 *   --oneshot       receive once per entry; the next receive follows the completion of the send
 *   --skip          as --oneshot, with the receive linked to the send and the send's completion
 *                   skipped: the receive's completion proves that the whole buffer was sent.
 *                   With multishot receive nothing would prove it, and a buffer could be reused
 *                   while the kernel still reads it; so this option has to imply one-shot. And
 *                   as the proof comes with the next message only, each connection has a buffer
 *                   of its own: idle ones would keep those of a pool.
 *   --direct        direct descriptors
 *   --no-sqarray    IORING_SETUP_NO_SQARRAY (Linux 6.6)
 *   --no-ring-fd    the ring's descriptor is not registered
 *   --no-defer      IORING_SETUP_COOP_TASKRUN in place of DEFER_TASKRUN
 *   --buffers N --buffer-size B   the buffer ring; N is a power of two
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common.h"

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* include/uapi/linux/io_uring.h, v6.6 */
#endif

enum {
	ENTRIES = 4096,
	COMPLETIONS = 4 * ENTRIES,
	GROUP = 0,
	NONE = 0xffff,
	OWN = 0xfffe,
	DIRECT_SLOTS_MAX = 32768,
	HELD_LEAST = 4,
	HELD_MOST = 64,
};

enum operation { ACCEPT = 1, RECV, SEND, SHUTDOWN, CLOSE, CANCEL, STOP };

struct conn {
	int fd; /* or the slot of a direct descriptor */
	struct piece *first, *last, *own;
	uint32_t held, copied; /* pieces in the pool's buffers, and out of it */
	bool receiving, stopping, sending, ended, broken, starved;
	uint32_t next; /* in the free list, or in the list of the starved */
};

/* What was received and is not sent yet: in a buffer of the pool, or copied out of it. */
struct piece {
	struct piece *next;
	char *data;
	uint32_t offset, length;
	/* NONE if copied, OWN if the connection's with --skip: then it lies behind this very struct. */
	uint16_t bid;
};

static struct io_uring ring;
static bool oneshot, skip, direct, no_sqarray, no_ring_fd, no_defer;
static unsigned buffer_count = 1024, buffer_size = 4096;

static struct io_uring_buf_ring *pool;
static char *pool_bytes;
static struct piece *pieces; /* by buffer */
static unsigned recycled, pool_free;

static struct conn *conns;
static uint32_t conns_len, conns_free = UINT32_MAX, conns_open;
static uint32_t starved_first = UINT32_MAX, starved_last = UINT32_MAX;

static int listen_fd, signals;
static bool accepting, stop;
static unsigned long long enters, messages;

static uint64_t tag(enum operation operation, uint32_t conn)
{
	return (uint64_t)operation << 56 | conn;
}

static void enter(unsigned wait)
{
	int ret = wait ? io_uring_submit_and_wait(&ring, wait) : io_uring_submit(&ring);

	enters++;
	/* EBUSY and EAGAIN: completions have to be taken first, which the loop is about to do. */
	if (ret < 0 && ret != -EINTR && ret != -EBUSY && ret != -EAGAIN) {
		errno = -ret;
		die("io_uring_enter");
	}
}

/* An entry; `together` keeps room for a linked partner, as a link may not span two submits. */
static struct io_uring_sqe *entry(unsigned together)
{
	while (io_uring_sq_space_left(&ring) < together)
		enter(0);
	return io_uring_get_sqe(&ring);
}

static void use_conn(struct io_uring_sqe *sqe)
{
	if (direct)
		sqe->flags |= IOSQE_FIXED_FILE;
}

static char *bytes_of(uint16_t bid)
{
	return pool_bytes + (size_t)bid * buffer_size;
}

static void recycle(uint16_t bid)
{
	io_uring_buf_ring_add(pool, bytes_of(bid), buffer_size, bid,
			      io_uring_buf_ring_mask(buffer_count), (int)recycled);
	recycled++;
}

static void publish_recycled(void)
{
	if (recycled) {
		io_uring_buf_ring_advance(pool, (int)recycled);
		pool_free += recycled;
		recycled = 0;
	}
}

static void start_accept(void)
{
	struct io_uring_sqe *sqe = entry(1);

	if (direct)
		io_uring_prep_multishot_accept_direct(sqe, listen_fd, NULL, NULL, 0);
	else
		io_uring_prep_multishot_accept(sqe, listen_fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, tag(ACCEPT, 0));
	accepting = true;
}

static void prepare_recv(struct io_uring_sqe *sqe, uint32_t id, bool likely_empty)
{
	struct conn *conn = &conns[id];

	if (skip)
		io_uring_prep_recv(sqe, conn->fd, conn->own->data, buffer_size, 0);
	else if (oneshot)
		io_uring_prep_recv(sqe, conn->fd, NULL, 0, 0);
	else
		io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
	/* Where the socket is most likely empty, a first attempt that finds nothing is waste. */
	if (likely_empty)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	if (!skip) {
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = GROUP;
	}
	use_conn(sqe);
	io_uring_sqe_set_data64(sqe, tag(RECV, id));
	conn->receiving = true;
}

static void prepare_send(struct io_uring_sqe *sqe, uint32_t id)
{
	struct conn *conn = &conns[id];
	struct piece *piece = conn->first;

	/* MSG_WAITALL: the kernel itself goes on after a short send, as far as it can. */
	io_uring_prep_send(sqe, conn->fd, piece->data + piece->offset,
			   piece->length - piece->offset, MSG_WAITALL | MSG_NOSIGNAL);
	use_conn(sqe);
	io_uring_sqe_set_data64(sqe, tag(SEND, id));
	conn->sending = true;
}

static void append(struct conn *conn, struct piece *piece)
{
	piece->next = NULL;
	if (conn->first)
		conn->last->next = piece;
	else
		conn->first = piece;
	conn->last = piece;
	conn->held += piece->bid != NONE;
	conn->copied += piece->bid == NONE;
}

static struct piece *take_first(struct conn *conn)
{
	struct piece *piece = conn->first;

	conn->first = piece->next;
	conn->held -= piece->bid != NONE;
	conn->copied -= piece->bid == NONE;
	return piece;
}

static void drop_first(struct conn *conn)
{
	struct piece *piece = take_first(conn);

	if (piece->bid == NONE)
		free(piece);
	else if (piece->bid != OWN)
		recycle(piece->bid);
}

/* Copies what waits out of the pool; all but the piece that the kernel reads just now. */
static void spill(struct conn *conn)
{
	struct conn after = { 0 };

	if (conn->sending)
		append(&after, take_first(conn));
	while (conn->first) {
		struct piece *piece = take_first(conn);

		if (piece->bid != NONE) {
			struct piece *copy = malloc(sizeof(*copy) + piece->length);

			if (!copy)
				die("malloc");
			*copy = *piece;
			copy->data = (char *)(copy + 1);
			copy->bid = NONE;
			memcpy(copy->data, piece->data, piece->length);
			recycle(piece->bid);
			piece = copy;
		}
		append(&after, piece);
	}
	conn->first = after.first;
	conn->last = after.last;
	conn->held = after.held;
	conn->copied = after.copied;
}

static void close_conn(uint32_t id)
{
	struct conn *conn = &conns[id];

	while (conn->first)
		drop_first(conn);
	free(conn->own);
	if (direct) {
		struct io_uring_sqe *sqe = entry(1);

		io_uring_prep_close_direct(sqe, (unsigned)conn->fd);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		io_uring_sqe_set_data64(sqe, tag(CLOSE, id));
	} else {
		close(conn->fd);
	}
	conn->fd = -1;
	conn->next = conns_free;
	conns_free = id;
	conns_open--;
	if (!accepting)
		start_accept(); /* it had stopped at the descriptor limit */
}

static void starve(uint32_t id)
{
	conns[id].starved = true;
	conns[id].next = UINT32_MAX;
	if (starved_first == UINT32_MAX)
		starved_first = id;
	else
		conns[starved_last].next = id;
	starved_last = id;
}

/*
 * How many buffers a connection may hold before it is read no more: a share of what is free, so
 * that a few slow readers do not take the pool from their neighbours.
 */
static unsigned held_max(void)
{
	unsigned share = pool_free / 2;

	return share < HELD_LEAST ? HELD_LEAST : share > HELD_MOST ? HELD_MOST : share;
}

/* What was copied out of the pool was too much already: that has to be gone first. */
static bool may_read(const struct conn *conn)
{
	return conn->copied == 0 && conn->held <= held_max() / 2;
}

/* Ends the receive of a connection, with a completion. */
static void stop_recv(uint32_t id)
{
	struct conn *conn = &conns[id];
	struct io_uring_sqe *sqe = entry(1);

	if (conn->broken) {
		io_uring_prep_shutdown(sqe, conn->fd, SHUT_RDWR);
		use_conn(sqe);
		io_uring_sqe_set_data64(sqe, tag(SHUTDOWN, id));
	} else {
		io_uring_prep_cancel64(sqe, tag(RECV, id), 0);
		io_uring_sqe_set_data64(sqe, tag(CANCEL, id));
	}
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	conn->stopping = true;
}

/* Moves a connection on: every completion of it ends here, and nothing else starts an entry. */
static void advance(uint32_t id, bool likely_empty)
{
	struct conn *conn = &conns[id];

	if (conn->broken) {
		while (!conn->sending && conn->first)
			drop_first(conn);
		if (conn->receiving && !conn->stopping)
			stop_recv(id);
	} else if (!conn->sending && conn->first) {
		if (skip && !conn->ended) {
			struct io_uring_sqe *sqe = entry(2);

			prepare_send(sqe, id);
			sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
			prepare_recv(io_uring_get_sqe(&ring), id, likely_empty);
			return;
		}
		prepare_send(entry(1), id);
	}
	/* Whoever found no buffer is in a list, and comes back here by wake_starved. */
	if (conn->starved)
		return;
	if (conn->ended || conn->broken) {
		if (!conn->sending && !conn->receiving)
			close_conn(id);
	} else if (conn->receiving) {
		if (!oneshot && !conn->stopping && conn->held >= held_max())
			stop_recv(id);
	} else if (oneshot ? !conn->sending : may_read(conn)) {
		prepare_recv(entry(1), id, likely_empty);
	}
}

/* Gives the buffers that came back to those who found none, oldest first. */
static void wake_starved(bool progress)
{
	if (starved_first != UINT32_MAX && pool_free == 0 && !progress) {
		/*
		 * All buffers wait for readers, who may never come. A receive takes many at once, so
		 * the share of held_max may be used up before its end is seen. Only the one piece in
		 * the middle of a send has to stay, for each connection.
		 */
		for (uint32_t id = 0; id < conns_len; id++)
			spill(&conns[id]);
		publish_recycled();
	}
	unsigned budget = pool_free;

	while (starved_first != UINT32_MAX && budget > 0) {
		uint32_t id = starved_first;

		starved_first = conns[id].next;
		conns[id].starved = false;
		budget--;
		advance(id, false);
	}
}

static void on_accept(struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		accepting = false;
	if (cqe->res >= 0) {
		uint32_t id = conns_free;

		if (id != UINT32_MAX) {
			conns_free = conns[id].next;
		} else {
			id = conns_len;
			if ((id & (id - 1)) == 0) {
				conns = realloc(conns, (id ? 2 * id : 1) * sizeof(*conns));
				if (!conns)
					die("realloc");
			}
			conns_len++;
		}
		conns[id] = (struct conn){ .fd = cqe->res };
		if (skip) {
			struct piece *own = calloc(1, sizeof(*own) + buffer_size);

			if (!own)
				die("calloc");
			own->data = (char *)(own + 1);
			own->bid = OWN;
			conns[id].own = own;
		}
		conns_open++;
		advance(id, false);
	}
	bool full = cqe->res == -EMFILE || cqe->res == -ENFILE || cqe->res == -ENOBUFS ||
		    cqe->res == -ENOMEM;

	if (!accepting && !(full && conns_open))
		start_accept();
}

static void on_recv(struct io_uring_cqe *cqe, uint32_t id)
{
	struct conn *conn = &conns[id];

	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		conn->receiving = false;
		conn->stopping = false;
	}
	if (skip && conn->sending) {
		/* The linked send came first, and was whole: it would have reported anything else. */
		conn->sending = false;
		drop_first(conn);
	}
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		uint16_t bid = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

		pool_free--;
		if (cqe->res > 0 && !conn->broken) {
			pieces[bid].offset = 0;
			pieces[bid].length = (uint32_t)cqe->res;
			append(conn, &pieces[bid]);
			messages++;
		} else {
			recycle(bid);
		}
	}
	if (skip && cqe->res > 0) {
		conn->own->offset = 0;
		conn->own->length = (uint32_t)cqe->res;
		append(conn, conn->own);
		messages++;
	}
	if (cqe->res == 0)
		conn->ended = true;
	else if (cqe->res == -ENOBUFS && !conn->broken)
		starve(id);
	else if (cqe->res < 0 && cqe->res != -ECANCELED && cqe->res != -EINTR && cqe->res != -EAGAIN &&
		 cqe->res != -ENOBUFS)
		conn->broken = true;
	advance(id, !(cqe->flags & IORING_CQE_F_SOCK_NONEMPTY));
}

static void on_send(struct io_uring_cqe *cqe, uint32_t id)
{
	struct conn *conn = &conns[id];
	struct piece *piece = conn->first;

	conn->sending = false;
	/* A linked receive whose send failed or came out short is cancelled without a completion. */
	if (skip)
		conn->receiving = false;
	if (cqe->res > 0) {
		piece->offset += (uint32_t)cqe->res;
		if (piece->offset == piece->length)
			drop_first(conn);
	} else if (cqe->res != -EAGAIN && cqe->res != -EINTR) {
		conn->broken = true;
	}
	advance(id, true);
}

static void handle(struct io_uring_cqe *cqe)
{
	uint64_t data = cqe->user_data;
	uint32_t id = (uint32_t)data;

	switch ((enum operation)(data >> 56)) {
	case ACCEPT:
		on_accept(cqe);
		break;
	case RECV:
		on_recv(cqe, id);
		break;
	case SEND:
		on_send(cqe, id);
		break;
	case STOP:
		stop = true;
		break;
	case SHUTDOWN: /* only failures are reported: the socket was dead already, */
	case CANCEL: /* the receive had ended by itself, */
	case CLOSE: /* and a slot is freed even when closing fails */
		break;
	}
}

static void make_ring(void)
{
	struct io_uring_params params = { 0 };

	params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER;
	params.flags |= no_defer ? IORING_SETUP_COOP_TASKRUN : IORING_SETUP_DEFER_TASKRUN;
	if (no_sqarray)
		params.flags |= IORING_SETUP_NO_SQARRAY;
	params.cq_entries = COMPLETIONS;
	/*
	 * Not io_uring_queue_init_params: liburing 2.3 fills the index array without asking whether
	 * there is one, and would overwrite the ring's head and tail.
	 */
	int fd = (int)syscall(__NR_io_uring_setup, ENTRIES, &params);

	if (fd < 0)
		die("io_uring_setup");
	int ret = io_uring_queue_mmap(fd, &params, &ring);

	if (ret == 0) {
		ring.features = params.features;
		for (unsigned i = 0; !no_sqarray && i < ring.sq.ring_entries; i++)
			ring.sq.array[i] = i;
		if (!no_ring_fd && (ret = io_uring_register_ring_fd(&ring)) == 1)
			ret = 0;
	}
	if (ret < 0) {
		errno = -ret;
		die("cannot map or register the ring");
	}
}

static void *anonymous(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

static void make_pool(void)
{
	struct io_uring_buf_reg registration = { .ring_entries = buffer_count, .bgid = GROUP };

	pool = anonymous(buffer_count * sizeof(struct io_uring_buf));
	pool_bytes = anonymous((size_t)buffer_count * buffer_size);
	pieces = calloc(buffer_count, sizeof(*pieces));
	if (!pieces)
		die("calloc");
	registration.ring_addr = (uintptr_t)pool;
	int ret = io_uring_register_buf_ring(&ring, &registration, 0);

	if (ret < 0) {
		errno = -ret;
		die("io_uring_register_buf_ring");
	}
	io_uring_buf_ring_init(pool);
	for (unsigned bid = 0; bid < buffer_count; bid++) {
		pieces[bid].data = bytes_of((uint16_t)bid);
		pieces[bid].bid = (uint16_t)bid;
		recycle((uint16_t)bid);
	}
	publish_recycled();
}

static void make_slots(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		die("getrlimit");
	unsigned slots = files.rlim_cur < DIRECT_SLOTS_MAX ? (unsigned)files.rlim_cur : DIRECT_SLOTS_MAX;
	int ret = io_uring_register_files_sparse(&ring, slots);

	if (ret < 0) {
		errno = -ret;
		die("io_uring_register_files_sparse");
	}
}

int main(int argc, char **argv)
{
	static const char options[] =
		"--listen ADDR [--oneshot] [--skip] [--direct] [--no-sqarray] [--no-ring-fd] "
		"[--no-defer] [--buffers N] [--buffer-size B]";
	static const struct {
		const char *name;
		bool *value;
	} switches[] = {
		{ "--oneshot", &oneshot },	 { "--skip", &skip },
		{ "--direct", &direct },	 { "--no-sqarray", &no_sqarray },
		{ "--no-ring-fd", &no_ring_fd }, { "--no-defer", &no_defer },
	};
	const char *address = NULL;

	for (int i = 1; i < argc; i++) {
		bool known = false;

		for (size_t s = 0; s < sizeof(switches) / sizeof(*switches); s++)
			if (!strcmp(argv[i], switches[s].name))
				known = *switches[s].value = true;
		if (known)
			continue;
		if (!strcmp(argv[i], "--listen"))
			address = value_of(argc, argv, &i);
		else if (!strcmp(argv[i], "--buffers"))
			buffer_count = number_of(argc, argv, &i, 8, 32768);
		else if (!strcmp(argv[i], "--buffer-size"))
			buffer_size = number_of(argc, argv, &i, 1, 1 << 24);
		else
			usage(argv[0], options);
	}
	if (!address || (buffer_count & (buffer_count - 1)))
		usage(argv[0], options);
	oneshot |= skip;

	listen_fd = listen_on(address, 0);
	signals = stop_signals();
	make_ring();
	make_pool();
	if (direct)
		make_slots();

	struct io_uring_sqe *sqe = entry(1);

	io_uring_prep_poll_add(sqe, signals, POLLIN);
	io_uring_sqe_set_data64(sqe, tag(STOP, 0));
	start_accept();
	printf("setup SINGLE_ISSUER %s%s%s, %s receive, %s, %u x %u bytes\n",
	       no_defer ? "COOP_TASKRUN" : "DEFER_TASKRUN", no_sqarray ? " NO_SQARRAY" : "",
	       no_ring_fd ? "" : ", registered ring",
	       skip ? "one-shot linked" : oneshot ? "one-shot" : "multishot",
	       direct ? "direct descriptors" : "plain descriptors", buffer_count, buffer_size);
	announce(listen_fd);

	while (!stop) {
		struct io_uring_cqe *cqe;
		unsigned head, count = 0;

		enter(1);
		io_uring_for_each_cqe(&ring, head, cqe) {
			handle(cqe);
			count++;
		}
		io_uring_cq_advance(&ring, count);
		bool progress = recycled > 0;

		publish_recycled();
		wake_starved(progress);
	}
	printf("enters %llu messages %llu\n", enters, messages);
	return 0;
}
