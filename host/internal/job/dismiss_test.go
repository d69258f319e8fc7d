package job

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
)

func TestDismissalGivesUpOnAJobThatDoesNotStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := Service{live: newRegistry()}
		ctx, cancel := context.WithCancelCause(t.Context())
		u := s.live.add("a", cancel, slog.New(slog.DiscardHandler))
		if _, err := s.cancel(t.Context(), Job{ID: "a"}, u); !errors.Is(err, ErrStopping) || errors.Is(err, ErrBusy) {
			t.Errorf("cancel: %v, want ErrStopping", err)
		}
		if cause := context.Cause(ctx); !errors.Is(cause, ErrDismissed) {
			t.Errorf("the job was stopped with %v, want ErrDismissed", cause)
		}
	})
}
