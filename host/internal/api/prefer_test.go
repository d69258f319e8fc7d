package api

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"geomill/host/internal/job"
)

func TestPreferIsReadAsRFC7240Says(t *testing.T) {
	t.Parallel()
	wait := func(seconds int) *time.Duration { d := time.Duration(seconds) * time.Second; return &d }
	for _, c := range []struct {
		name    string
		headers []string
		want    preferences
	}{
		{"none", nil, preferences{}},
		{"async", []string{"respond-async"}, preferences{Async: true}},
		{"a trailing blank, as the suite sends", []string{"respond-async "}, preferences{Async: true}},
		{"case", []string{"Respond-ASYNC"}, preferences{Async: true}},
		{"sync", []string{"respond-sync"}, preferences{Sync: true}},
		{"list", []string{"respond-async, wait=10"}, preferences{Async: true, Wait: wait(10)}},
		{"several headers", []string{"respond-async", "wait=10", "return=minimal"}, preferences{Async: true, Wait: wait(10), Return: "minimal"}},
		{"quotes", []string{`wait="7"; x=y`}, preferences{Wait: wait(7)}},
		{"escapes in quotes", []string{`return="mini\mal"`}, preferences{Return: "minimal"}},
		{"blanks around the sign", []string{"wait = 3 ; foo"}, preferences{Wait: wait(3)}},
		{"the first counts", []string{"wait=1, wait=2, return=representation", "return=minimal"}, preferences{Wait: wait(1), Return: "representation"}},
		{"a comma in quotes is no comma", []string{`foo="a, respond-async", wait=2`}, preferences{Wait: wait(2)}},
		{"unknown and broken", []string{"foo, =, ;;, wait=-1, wait=x, wait, return=none"}, preferences{}},
		{"timeout", []string{`Timeout="30"; x`}, preferences{Timeout: 30 * time.Second}},
		{"the first timeout counts", []string{"timeout=3, timeout=4"}, preferences{Timeout: 3 * time.Second}},
		{"no timeout at all", []string{"timeout=0, timeout=-1, timeout=x, timeout"}, preferences{}},
		{"a huge wait is bounded", []string{"wait=99999999999999999999"}, preferences{Wait: wait(int(maxSeconds))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(c.want, parsePrefer(c.headers)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestModeOfOldRequestsGivesWayToPrefer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header, mode string
		want         job.Preference
	}{
		{"", "async", job.Preference{Async: true}},
		{"", "sync", job.Preference{Sync: true}},
		{"", "auto", job.Preference{Auto: true}},
		{"return=minimal", "async", job.Preference{Async: true}},
		{"timeout=3", "async", job.Preference{Async: true, Timeout: 3 * time.Second}},
		{"respond-async", "sync", job.Preference{Async: true}},
		{"respond-sync", "async", job.Preference{Sync: true}},
	} {
		if d := cmp.Diff(c.want, parsePrefer([]string{c.header}).job(c.mode)); d != "" {
			t.Errorf("%q with mode %q: %s", c.header, c.mode, d)
		}
	}
}

func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"", "respond-async, wait=1", `wait="1\"";a=b`, `"`, `\`, "return=minimal;x, y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		p := parsePrefer([]string{header})
		if p.Wait != nil && *p.Wait < 0 {
			t.Fatalf("%q waits %v", header, *p.Wait)
		}
		// What stands before a comma that is no part of a quoted string holds.
		if with := parsePrefer([]string{"respond-async, wait=4, " + header}); !with.Async || *with.Wait != 4*time.Second {
			t.Fatalf("%q: %+v", header, with)
		}
	})
}
