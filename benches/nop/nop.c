// Nops on liburing, as src/nop.rs does them: nop liburing SETUP BATCH NOPS.
// Prints the nanoseconds of processor time of each nop, and 0 allocations: liburing makes none.
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENTRIES = 256 };

static void fail(const char *what, int error)
{
	fprintf(stderr, "nop: %s: %s\n", what, strerror(-error));
	exit(1);
}

static unsigned long long total;

static inline void round_of(struct io_uring *ring, unsigned batch)
{
	for (unsigned number = 0; number < batch; number++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
		if (!sqe)
			fail("the queue is full", -EBUSY);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, number);
	}
	int taken = io_uring_submit_and_wait(ring, batch);
	if (taken != (int)batch)
		fail("submit", taken);
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;
	unsigned long long sum = 0;
	int failed = 0;
	io_uring_for_each_cqe(ring, head, cqe) {
		seen++;
		sum += io_uring_cqe_get_data64(cqe);
		failed |= cqe->res < 0;
	}
	io_uring_cq_advance(ring, seen);
	if (seen != batch || failed)
		fail("every nop completes, and succeeds", -EIO);
	total += sum;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("usage: nop liburing plain|defer|best BATCH NOPS", -EINVAL);
	unsigned batch = strtoul(argv[3], NULL, 10), nops = strtoul(argv[4], NULL, 10);
	if (batch < 1 || batch > ENTRIES)
		fail("a batch is 1 to 256", -EINVAL);
	struct io_uring_params params = {0};
	if (strcmp(argv[2], "plain") != 0)
		params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
#ifdef IORING_SETUP_NO_SQARRAY
	if (strcmp(argv[2], "best") == 0)
		params.flags |= IORING_SETUP_NO_SQARRAY;
#endif
	struct io_uring ring;
	int error = io_uring_queue_init_params(ENTRIES, &ring, &params);
	if (error)
		fail("io_uring_queue_init_params", error);
	error = io_uring_register_ring_fd(&ring);
	if (error != 1)
		fail("io_uring_register_ring_fd", error);

	round_of(&ring, ENTRIES); // warm
	unsigned rounds = nops / batch;
	struct timespec start, end;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
	for (unsigned i = 0; i < rounds; i++)
		round_of(&ring, batch);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	double ns = (end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec);
	printf("%.2f 0\n", ns / ((double)rounds * batch));
	return total == 1;
}
