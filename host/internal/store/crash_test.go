package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// crashDirVariable makes the test binary the process that is to be killed.
const crashDirVariable = "GEOMILL_TEST_CRASH_DIR"

// createUntilKilled prints the id of each job once it is acknowledged, and with
// a plus once it is acknowledged as running.
func createUntilKilled(dir string) {
	s, err := Open(Config{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				j, err := s.Create(context.Background(), jobtest.NewJob("p"), job.Order{Response: "raw"})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%s\n", j.ID)
				j.Status = ogc.Running
				if _, err := s.Update(context.Background(), j, nil); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("+%s\n", j.ID)
			}
		})
	}
	wg.Wait()
}

func TestAcknowledgedJobsSurviveAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]ogc.Status{}
	for round := range 4 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDirVariable+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for lines := bufio.NewScanner(out); lines.Scan(); n++ {
			line := lines.Text()
			switch {
			case len(line) == 37 && line[0] == '+':
				acknowledged[line[1:]] = ogc.Running
			case len(line) == 36 && acknowledged[line] == "":
				acknowledged[line] = ogc.Accepted
			}
			if n == 150+100*round {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait() // it was killed
		checkAcknowledged(t, dir, acknowledged)
	}
}

func checkAcknowledged(t *testing.T, dir string, acknowledged map[string]ogc.Status) {
	t.Helper()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	revisions := map[uint64]bool{}
	for id, status := range acknowledged {
		j, err := s.Get(ctx(t), id)
		if err != nil {
			t.Fatalf("an acknowledged job of %d is lost: %v", len(acknowledged), err)
		}
		if status == ogc.Running && j.Status != ogc.Running {
			t.Errorf("job %s was acknowledged as running and is %s", id, j.Status)
		}
		if _, err := s.Order(ctx(t), id); err != nil {
			t.Errorf("order of %s: %v", id, err)
		}
		if revisions[j.Revision] {
			t.Errorf("revision %d was given twice", j.Revision)
		}
		revisions[j.Revision] = true
	}
	// Whoever resumes the jobs finds all of them in the list.
	listed := 0
	for c := (job.Cursor{}); ; {
		p, err := s.List(ctx(t), job.Filter{Statuses: []ogc.Status{ogc.Accepted, ogc.Running}}, c, 100)
		if err != nil {
			t.Fatal(err)
		}
		if listed += len(p.Jobs); !p.Older {
			break
		}
		c.After = p.Jobs[len(p.Jobs)-1].ID
	}
	if listed < len(acknowledged) {
		t.Errorf("%d jobs are listed, %d were acknowledged", listed, len(acknowledged))
	}
}
