package host

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"geomill/host/internal/callback"
	"geomill/host/internal/job"
	"geomill/host/internal/remote"
)

// maxReply is how much of a reply of a subscriber is taken, in bytes.
const maxReply = 64 << 10

// Secret is a setting that is not to be seen in logs.
type Secret string

// String hides the secret from fmt and slog.
func (Secret) String() string { return "(hidden)" }

// Version returns the version of the program, as the Go tools know it.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

// newCaller makes the part that calls subscribers back.
func newCaller(c Config, outbox job.Outbox, log *slog.Logger) (*callback.Caller, error) {
	policy := c.references()
	policy.MaxRedirects, policy.MaxBytes = -1, maxReply
	client, err := remote.New(policy)
	if err != nil {
		return nil, fmt.Errorf("callbacks: %w", err)
	}
	config := callback.Config{
		Outbox: outbox, Do: client.Do, Explain: explain,
		Logger: log, UserAgent: "Geomill/" + Version(), Tries: c.CallbackTries,
	}
	if c.CallbackSecret != "" {
		if config.Secret, err = callback.ParseSecret(string(c.CallbackSecret)); err != nil {
			return nil, fmt.Errorf("callback-secret: %w", err)
		}
	}
	return callback.New(config)
}

// explain tells the client of a job why its subscriber was not reached.
func explain(err error) string {
	if refused, ok := errors.AsType[*job.RemoteError](err); ok {
		return "the URI " + refused.Detail
	}
	return ""
}
