package check

import (
	"errors"
	"time"
)

// Times are how long the checker waits for a plugin, before the slack of the
// machine is counted in. Zero ones are those of the contract, or of a host.
// Shorter ones spare time where a plugin is known to be quick.
type Times struct {
	Handshake time.Duration // from the start to the handshake line, and to an answer by hand; 0: 10 s
	Call      time.Duration // for the answer of a call; 0: 5 s
	Job       time.Duration // for the end of a job that is not known to be long; 0: 10 s
	Grace     time.Duration // that a job which is cancelled gets; 0: 5 s
	// Settle is how long a job is given to begin, and to turn out not to be long;
	// 0: 300 ms. It has no slack.
	Settle time.Duration
	Unread time.Duration // for which nothing is read of what a plugin sends; 0: 500 ms
}

// filled puts in what is left out.
func (t Times) filled() (Times, error) {
	for _, one := range []struct {
		d     *time.Duration
		usual time.Duration
	}{
		{&t.Handshake, 10 * time.Second}, {&t.Call, 5 * time.Second}, {&t.Job, 10 * time.Second},
		{&t.Grace, 5 * time.Second}, {&t.Settle, 300 * time.Millisecond}, {&t.Unread, 500 * time.Millisecond},
	} {
		if *one.d < 0 {
			return t, errors.New("times must be above 0")
		}
		if *one.d == 0 {
			*one.d = one.usual
		}
	}
	return t, nil
}
