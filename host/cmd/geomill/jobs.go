package main

import (
	"context"
	"os/signal"
	"syscall"
)

// jobsCmd holds the commands about the jobs of a running server; they talk to it
// as any client does.
type jobsCmd struct {
	List    jobsListCmd    `cmd:"" help:"List jobs, the newest first."`
	Show    jobsShowCmd    `cmd:"" help:"Show what is known of a job."`
	Dismiss jobsDismissCmd `cmd:"" help:"Stop jobs."`
	Logs    jobsLogsCmd    `cmd:"" help:"Print the log of a job."`
	Prune   jobsPruneCmd   `cmd:"" help:"Remove finished jobs with their results."`
}

func (jobsCmd) Help() string {
	return `Example: geomill jobs list --server http://localhost:5000

Each command has a --help of its own.`
}

// serverSettings say which server is meant.
type serverSettings struct {
	Server string `help:"URL of the server's landing page (${default})." env:"GEOMILL_SERVER" default:"http://localhost:5000" placeholder:"URL"`
}

// interruptible returns a context that ends with the first signal.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}
