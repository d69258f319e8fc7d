// Package jobtest holds the meaning of the seams of package job as test suites
// that every implementation runs: Store, StoreModel, Outbox, Logs, Queue and
// Executor. Its MemoryStore, MemoryLogs and MemoryQueue are plain implementations
// for tests of what stands on the seams; they run the same suites.
package jobtest
