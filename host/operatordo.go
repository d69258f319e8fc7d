package host

import (
	"context"
	"errors"
	"fmt"

	"geomill/host/internal/admin"
	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/trust"
)

// What an operator may want done to a plugin.
const (
	DoTrust    = admin.DoTrust
	DoPin      = admin.DoPin
	DoUnpin    = admin.DoUnpin
	DoReload   = admin.DoReload
	DoRollback = admin.DoRollback
	DoReset    = admin.DoReset
	DoRemove   = admin.DoRemove
)

// Verify implements admin.Plugins.
func (o operator) Verify(ctx context.Context, file string) ([]Check, error) {
	list := []Check{}
	for _, s := range o.plugins.Plugins() {
		if file != "" && s.File != file {
			continue
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		list = append(list, o.check(s))
	}
	if len(list) == 0 && file != "" {
		return nil, o.unknown(file)
	}
	return list, nil
}

// check compares what a plugin's file holds with what it should.
func (o operator) check(s plugin.Status) Check {
	v, err := o.plugins.Verify(s.File)
	c := Check{File: s.File, Path: v.Path, Policy: string(v.Policy), Found: v.Found, Serving: v.Serving}
	for _, pin := range v.Pins {
		if pin.Hash == v.Found {
			c.Pinned = string(pin.How)
		}
	}
	switch {
	case err != nil:
		c.Fault = err.Error()
	case v.Refusal != nil:
		c.Fault, c.Accept = v.Refusal.Error(), v.Refusal.Accept
	case v.Serving != "" && v.Serving != v.Found:
		c.Fault = fmt.Sprintf("the file holds %s, but what serves is %s", abridged(v.Found), abridged(v.Serving))
		if s.Reason != "" {
			c.Fault += ": " + s.Reason
		}
	case v.Serving == "" && s.State == plugin.StateRefused:
		c.Fault = s.Reason
	default:
		c.OK = true
	}
	return c
}

// Do implements admin.Plugins.
func (o operator) Do(ctx context.Context, c Command) (admin.Outcome, error) {
	done, err := o.do(ctx, c)
	if err == nil {
		return admin.Outcome{Done: done}, nil
	}
	if _, there := o.plugins.Plugin(c.File); !there && c.Verb != DoPin && c.Verb != DoUnpin {
		err = o.unknown(c.File)
	}
	return admin.Outcome{}, err
}

func (o operator) do(ctx context.Context, c Command) (done string, err error) {
	switch c.Verb {
	case DoTrust:
		pin, err := o.plugins.Trust(c.File)
		return fmt.Sprintf("%s: %s is trusted and is being admitted", c.File, content(pin)), err
	case DoPin:
		return o.pin(c.File, c.Hash)
	case DoUnpin:
		return o.unpin(c.File, c.Hash)
	case DoReload:
		err = o.plugins.Reload(ctx, c.File, c.Force)
		return o.serves(c.File), err
	case DoRollback:
		err = o.plugins.Rollback(ctx, c.File)
		return o.serves(c.File) + "; to serve again what the file holds: geomill plugin reload " + Word(c.File), err
	case DoReset:
		return o.reset(c.File)
	case DoRemove:
		done = c.File + ": is offered no longer, its running jobs may finish; to serve it again: geomill plugin reload " + Word(c.File)
		if c.DeleteFile {
			done = c.File + ": is offered no longer and its file is deleted, its running jobs may finish"
		}
		return done, o.plugins.Remove(ctx, c.File, c.DeleteFile)
	}
	return "", fmt.Errorf("the server knows no command %q: is it another version?", c.Verb)
}

// pin accepts a content, or without a hash what serves.
func (o operator) pin(file, hash string) (string, error) {
	if hash == "" {
		s, ok := o.plugins.Plugin(file)
		if !ok {
			return "", o.unknown(file)
		}
		if hash = s.Hash; hash == "" {
			return "", errors.New("nothing serves that could be pinned: name a SHA-256, or have what the file holds accepted: " + trust.Command(file))
		}
	}
	pin, err := o.plugins.Pin(file, hash)
	return fmt.Sprintf("%s: %s is pinned", file, content(pin)), err
}

func (o operator) unpin(file, hash string) (string, error) {
	gone, err := o.plugins.Unpin(file, hash)
	if err == nil && len(gone) == 0 {
		err = fmt.Errorf("no such content of %q was accepted", file)
	}
	if len(gone) == 1 {
		return file + ": 1 accepted content is so no longer", err
	}
	return fmt.Sprintf("%s: %d accepted contents are so no longer", file, len(gone)), err
}

// reset forgets what went wrong with a plugin.
func (o operator) reset(file string) (string, error) {
	s, _ := o.plugins.Plugin(file)
	if s.State == plugin.StateRefused {
		return file + ": it is tried again now", o.plugins.Reset(file)
	}
	return file + ": its crashes are forgotten, its next job starts it", o.plugins.Reset(file)
}

// serves says what a plugin serves.
func (o operator) serves(file string) string {
	s, ok := o.plugins.Plugin(file)
	if !ok || s.Hash == "" {
		return file + ": nothing serves"
	}
	return fmt.Sprintf("%s: %s %s serves (SHA-256 %s)", file, s.Name, s.Version, abridged(s.Hash))
}

// content says which content was accepted.
func content(p trust.Pin) string {
	text := "SHA-256 " + abridged(p.Hash)
	if p.Name != "" {
		text += " (" + p.Name + " " + p.Version + ")"
	}
	return text
}

// abridged is as much of a hash as people compare.
func abridged(hash string) string { return hash[:min(len(hash), 12)] }

func pinOf(p trust.Pin) admin.Pin {
	return admin.Pin{Hash: p.Hash, Name: p.Name, Version: p.Version, Accepted: p.Accepted, How: string(p.How)}
}
