#include "cli/interrupt.h"

#include <csignal>

namespace medlar::cli {
namespace {

// A signal handler can reach nothing but static storage. Written by the handler, owned by the one Interrupt.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void on_interrupt(int number) {
  if (!interrupted.exchange(true)) return;
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void handle(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  // No SA_RESTART: a read from the terminal returns.
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  clear();
  handle(on_interrupt);
}

Interrupt::~Interrupt() { handle(SIG_DFL); }

const std::atomic<bool>& Interrupt::flag() const { return interrupted; }

void Interrupt::clear() { interrupted = false; }

}  // namespace medlar::cli
