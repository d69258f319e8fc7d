package jobtest

import (
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func storeReusable(t *testing.T, s job.Store) {
	reusable := func(digest, hash, want string) {
		t.Helper()
		got, err := s.Reusable(within(t), digest, hash)
		if want == "" {
			fails(t, "Reusable "+digest+" of "+hash, err, job.ErrNoSuchJob)
		} else if err != nil || got.ID != want {
			t.Errorf("Reusable %s of %s is %s (%v), want %s", digest, hash, got.ID, err, want)
		}
	}
	made := func(digest, hash string) job.Job {
		j := NewJob("p")
		j.Digest, j.Plugin.Hash = digest, hash
		return create(t, s, j)
	}
	first := made("d1", "h1")
	reusable("d1", "h1", "")
	first = update(t, s, as(first, ogc.Running), nil)
	reusable("d1", "h1", "")
	first = update(t, s, as(first, ogc.Successful), map[string]job.Value{"o": {JSON: []byte(`1`)}})
	reusable("d1", "h1", first.ID)
	reusable("d1", "h2", "")
	reusable("d2", "h1", "")
	reusable("d", "1h1", "")

	update(t, s, as(made("d2", "h1"), ogc.Failed), nil)
	update(t, s, as(made("d2", "h1"), ogc.Dismissed), nil)
	without := made("d2", "h1")
	without.Digest = ""
	update(t, s, as(without, ogc.Successful), nil)
	reusable("d2", "h1", "")

	second := update(t, s, as(made("d1", "h1"), ogc.Successful), nil)
	other := update(t, s, as(made("d1", "h2"), ogc.Successful), nil)
	reusable("d1", "h1", second.ID)
	reusable("d1", "h2", other.ID)
	if err := s.Delete(within(t), second.ID, second.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	reusable("d1", "h1", first.ID)
	if err := s.Delete(within(t), first.ID, first.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	reusable("d1", "h1", "")
}
