package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"geomill/host"
)

// stdio is the name of a file that stands for standard input or output.
const stdio = "-"

// dataSettings are the flags of commands on a data directory.
type dataSettings struct {
	Config string  `help:"Configuration file (YAML) of the server." env:"GEOMILL_CONFIG" placeholder:"FILE"`
	Data   *string `help:"Directory of jobs and outputs (./data)." env:"GEOMILL_DATA" placeholder:"DIR"`
}

func (s dataSettings) load() (host.Config, error) {
	c, err := settings{Config: s.Config, Data: s.Data}.load()
	c.LogLevel = "warn"
	return c, err
}

type backupCmd struct {
	File string `arg:"" help:"File to write; - is standard output."`
	dataSettings
}

func (backupCmd) Help() string {
	return `Example: geomill backup --data ./data geomill-$(date +%F).tar.zst

Writes all jobs with their results, and what waiting jobs need to run, as of one moment. The server that runs on
the data directory writes it while it serves; without a server the directory is read here.
A file of that name is replaced once the backup is whole. Caches, plugins and the configuration are not in it.`
}

func (c backupCmd) Run(s *streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := host.NewLogger(config, s.err)
	if c.File == stdio {
		summary, err := host.Backup(ctx, config.Data, s.out, log)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.err, "backed up %s\n", backedUp(summary))
		return nil
	}
	var summary host.BackupSummary
	size, err := replace(c.File, func(w io.Writer) (err error) {
		summary, err = host.Backup(ctx, config.Data, w, log)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "backed up %s to %s (%s)\n", backedUp(summary), c.File, humanSize(size))
	return nil
}

func backedUp(s host.BackupSummary) string {
	return fmt.Sprintf("%s, %s", count(s.Jobs, "job"), humanSize(s.Bytes))
}

// replace writes a file under another name and renames it once it is on disk. It
// returns its size.
func replace(name string, write func(io.Writer) error) (int64, error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-") // for its owner only
	if err != nil {
		return 0, err
	}
	err = write(f)
	size, e := f.Seek(0, io.SeekCurrent)
	err = errors.Join(err, e)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return size, err
}
