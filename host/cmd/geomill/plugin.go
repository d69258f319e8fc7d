package main

import (
	"fmt"
	"time"

	"geomill/host"
)

// pluginCmd holds the commands about the plugins of a running server. They reach it
// over the socket in its data directory. Check needs no server.
type pluginCmd struct {
	List     pluginListCmd     `cmd:"" help:"List plugins with their states, and what is wrong with them."`
	Inspect  pluginInspectCmd  `cmd:"" help:"Show all that is known of a plugin."`
	Logs     pluginLogsCmd     `cmd:"" help:"Print what a plugin wrote last, and what the server says about it."`
	Verify   pluginVerifyCmd   `cmd:"" help:"Compare the files of plugins with what is trusted and with what serves."`
	Trust    pluginTrustCmd    `cmd:"" help:"Accept what the file of a plugin holds now."`
	Pin      pluginPinCmd      `cmd:"" help:"Accept a content of a plugin by its hash."`
	Unpin    pluginUnpinCmd    `cmd:"" help:"Accept a content of a plugin no longer."`
	Reload   pluginReloadCmd   `cmd:"" help:"Serve what the file of a plugin holds now."`
	Rollback pluginRollbackCmd `cmd:"" help:"Serve the version of a plugin that served before."`
	Reset    pluginResetCmd    `cmd:"" help:"Forget the crashes of a plugin, and end its quarantine."`
	Remove   pluginRemoveCmd   `cmd:"" help:"Serve a plugin no longer."`
	Check    pluginCheckCmd    `cmd:"" help:"Find out whether an executable, in any language, keeps the contract for plugins."`
}

func (pluginCmd) Help() string {
	return `Example: geomill plugin list --data ./data

Only root and the user who owns the data directory of the server may give these commands, but for check. Each has a --help of its own.`
}

// runningServer are the flags that say which server is meant.
type runningServer struct {
	Config string  `help:"Configuration file (YAML) of the server." env:"GEOMILL_CONFIG" placeholder:"FILE"`
	Data   *string `help:"Data directory of the server (./data)." env:"GEOMILL_DATA" placeholder:"DIR"`
}

func (s runningServer) operator() (*host.Operator, error) {
	c, err := settings{Config: s.Config, Data: s.Data}.load()
	if err != nil {
		return nil, err
	}
	return host.NewOperator(c.Data), nil
}

// since writes when something began, for people: the time, and how long ago.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", local(&t), ago(now.Sub(t)))
}

// ago writes how long something is over, in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds ago", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	}
	return fmt.Sprintf("%dd ago", d/(24*time.Hour))
}

// advice says what an operator can do about the state of a plugin, or nothing.
func advice(p host.Plugin) string {
	switch {
	case p.Accept != "":
		return p.Accept
	case p.State == "crashed":
		return "it is started again by itself; for its last words: geomill plugin logs " + host.Word(p.File)
	case p.State == "quarantined":
		return fmt.Sprintf("for its last words: geomill plugin logs %s; to start it again: geomill plugin reset %s", host.Word(p.File), host.Word(p.File))
	case p.State == "refused" && !p.RetryAt.IsZero():
		return "it is tried again by itself at " + local(&p.RetryAt)
	}
	return ""
}
