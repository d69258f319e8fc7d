package plugin

import (
	"errors"
	"fmt"

	"geomill/sdk/wire"
)

// Why an instance stops serving.
var (
	errDied     = errors.New("the plugin ended unexpectedly")
	errMemory   = errors.New("the plugin ran out of memory")
	errCutOff   = errors.New("the plugin broke off its connection")
	errOversize = fmt.Errorf("%w: it sent a message of more than %d MiB", errCutOff, wire.MaxMessageBytes>>20)
	errWedged   = errors.New("the plugin stopped answering and was stopped")
	errPoisoned = errors.New("the plugin was stopped because another job in it did not end when it was told to")
	errSpent    = errors.New("the plugin was stopped with its job")
	errRetired  = errors.New("the plugin was stopped by the host")

	errLimit = errors.New("the plugin was stopped at a limit")

	errUsed    = fmt.Errorf("%w: it was for one job", errRetired)
	errUnused  = fmt.Errorf("%w: it had nothing to do", errRetired)
	errStrays  = fmt.Errorf("%w: a job left processes behind", errRetired)
	errMany    = fmt.Errorf("%w: it has run as many jobs as it may", errRetired)
	errAged    = fmt.Errorf("%w: it has run for as long as it may", errRetired)
	errSwollen = fmt.Errorf("%w: it has taken as much memory as it may", errRetired)
)

// endReasons name the reasons for counters; the first that fits counts.
var endReasons = [...]struct {
	err  error
	name string
}{
	{errMemory, "memory"},          // no memory was left for it
	{errDied, "crash"},             // it exited
	{errCutOff, "cut-off"},         // it ended its session
	{errWedged, "wedged"},          // it did not answer three checks
	{errLimit, "limit"},            // see Limits
	{errPoisoned, "poisoned"},      // a job ignored its cancellation
	{errSpent, "cancelled"},        // with its only job, which was cancelled
	{errUsed, "job"},               // after its only job
	{errUnused, "idle"},            // without a job for too long
	{errStrays, "strays"},          // a cancelled job left processes
	{errMany, "recycle-jobs"},      // see Recycle
	{errAged, "recycle-age"},       // see Recycle
	{errSwollen, "recycle-memory"}, // see Recycle
	{errRetired, "stop"},           // its version is replaced or removed, or the host stops
}

// cutOff is why an instance stops serving whose session is lost.
func cutOff(lost error) error {
	if errors.Is(lost, wire.ErrTooLarge) {
		return errOversize
	}
	return errCutOff
}

// endReason returns the index in endReasons of the reason why an instance
// ended.
func endReason(cause error) int {
	for i, r := range endReasons {
		if errors.Is(cause, r.err) {
			return i
		}
	}
	return len(endReasons) - 1
}
