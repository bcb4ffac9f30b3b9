// wire.h - messages between the emulation's ranks, on a communicator of their own.
//
// A message goes and comes while a rank is in any call of the CUDA runtime, NCCL or MPI that waits.

#ifndef L2A_TESTS_CUDA_ON_CPU_WIRE_H
#define L2A_TESTS_CUDA_ON_CPU_WIRE_H

#include <mpi.h>
#include <stddef.h>

#include <memory>
#include <vector>

namespace cuda_on_cpu
{

typedef std::vector<char> Letter;

// Whether the message has gone.
struct Posted {
    bool gone;
};

// Collective over MPI_COMM_WORLD. Closing waits until all that was sent has come, wanted or not.
void wire_open();
void wire_close();
bool wire_is_open();
int wire_rank();

std::shared_ptr<const Posted> wire_send(int to, int tag, const Letter &letter);

// The next message of a rank with a tag, if it has come.
bool wire_take(int from, int tag, Letter *letter);
// The same of any rank.
bool wire_take_any(int tag, Letter *letter);

// Lets messages go and come; whether one has. Never waits.
bool wire_poll();

// What a rank does that finds nothing to do: lets messages come, or sleeps.
void wire_idle();

} // namespace cuda_on_cpu

#endif
