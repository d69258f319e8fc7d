package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestJobsRunInSparesThatTheOperatorWants has a spare before the first job, and
// another one after each.
func TestJobsRunInSparesThatTheOperatorWants(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "geomill.yaml")
	text := "plugin-config:\n  '*': {warm: 3, poison-grace: 1m, recycle: {jobs: 10, age: 1h, memory: 1073741824}}\n  echo: {isolation: job, warm: 1, idle: 1m}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, t.TempDir(), []string{"echo"}, "--config", config)
	c := newWeb(t, s.url)
	var seen []int
	for range 3 {
		eventually(t, func() error {
			if now := s.children("echo"); len(now) != 1 || slices.Contains(seen, now[0]) {
				return fmt.Errorf("instances %v, %v were there before", now, seen)
			}
			return nil
		})
		seen = append(seen, s.children("echo")...)
		c.must(t, 200, "POST", "/processes/echo/execution", `{"inputs":{"text":"hi"}}`)
	}
}

// TestDismissalOfADeafJobLeavesTheOtherJobsOfItsPluginAlone has both in one
// instance.
func TestDismissalOfADeafJobLeavesTheOtherJobsOfItsPluginAlone(t *testing.T) {
	t.Parallel()
	s, c := startChaos(t)
	deaf, pids := brood(t, c, "brood-deaf")
	other := c.submit(t, "wait", `{}`)
	c.await(t, other, "running")
	c.must(t, 200, "DELETE", deaf, "")
	c.must(t, 200, "POST", "/processes/echo/execution", `{}`) // in a new instance
	eventually(t, func() error {
		if n := len(s.children("chaos")); n != 2 {
			return fmt.Errorf("%d instances", n)
		}
		return nil
	})
	if j, err := c.status(other); err != nil || j.Status != "running" || len(living(pids[:1])) == 0 {
		t.Errorf("the other job is %+v, %v", j, err)
	}
	c.must(t, 200, "DELETE", other, "")
	eventually(t, func() error {
		if left := living(pids); len(left) > 0 {
			return fmt.Errorf("processes %v of %v live on", left, pids)
		}
		return nil
	})
}
