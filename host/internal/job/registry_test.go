package job

import (
	"log/slog"
	"testing"
)

func TestSecondClaimLeavesTheEntryOfTheFirst(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	log := slog.New(slog.DiscardHandler)
	first := r.add("j", nil, log)
	if second := r.add("j", nil, log); first == nil || second != nil || r.get("j") != first {
		t.Fatalf("entries %p and %p; a dismissal finds %p", first, second, r.get("j"))
	}
	r.settle(first, Job{ID: "j"})
	if r.add("j", nil, log) == nil {
		t.Error("the next attempt cannot begin")
	}
}
