package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"geomill/host"
)

type restoreCmd struct {
	File string `arg:"" help:"Backup to read; - is standard input."`
	dataSettings
}

func (restoreCmd) Help() string {
	return `Example: geomill restore --data ./data geomill-2026-11-23.tar.zst

Makes a data directory, which must be empty or absent, of a backup. The directory is there as soon as the backup
has proved whole, and not before. Then start the server on it, as the same user: jobs that waited run, and those that
were running are treated as after a crash.`
}

func (c restoreCmd) Run(s *streams) error {
	config, err := c.load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var in io.Reader = os.Stdin
	if c.File != stdio {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	summary, err := host.Restore(ctx, in, config.Data, host.NewLogger(config, s.err))
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "restored %s into %s; try: geomill serve --data %s\n", backedUp(summary), config.Data, config.Data)
	return nil
}
