// Command demo shows two processes of a running Geomill server on real data,
// through nothing but its HTTP interface. It buffers the countries of the world
// by 50 km in an asynchronous job, and takes the land off the result and cuts
// the land by climate zone in synchronous ones.
//
//	go run ./examples/demo -url http://localhost:5000
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

type config struct {
	url, data, out string
	timeout        time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.url, "url", "http://localhost:5000", "address of the server")
	flag.StringVar(&c.data, "data", "examples/data", "directory with countries.geojson and zones.geojson")
	flag.StringVar(&c.out, "out", "build/demo", "directory for the results")
	flag.DurationVar(&c.timeout, "timeout", 2*time.Minute, "when to give up")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, c, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// layer is as much of a GeoJSON FeatureCollection as the demo looks at.
type layer struct {
	Type     string            `json:"type"`
	Features []json.RawMessage `json:"features"`
}

// pieces are the outputs of the process overlay.
type pieces struct {
	Result json.RawMessage
	Count  int
	Area   float64 // m²
}

func run(ctx context.Context, c config, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	countries, err := os.ReadFile(filepath.Join(c.data, "countries.geojson"))
	if err != nil {
		return err
	}
	zones, err := os.ReadFile(filepath.Join(c.data, "zones.geojson"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return err
	}
	d := demo{ctx: ctx, client: newClient(c.url), w: w, out: c.out}
	coast, err := d.buffer(countries)
	if err != nil {
		return err
	}
	if err := d.sea(coast, countries); err != nil {
		return err
	}
	return d.land(countries, zones)
}

type demo struct {
	ctx    context.Context
	client *client
	w      io.Writer
	out    string
}

// buffer runs an asynchronous job and shows its progress.
func (d demo) buffer(countries json.RawMessage) (json.RawMessage, error) {
	fmt.Fprintln(d.w, "buffer, asynchronous: 50 km about every country of Natural Earth, dissolved")
	start, shown := time.Now(), -100
	outputs, err := d.client.executeAsync(d.ctx, "buffer",
		map[string]any{"features": countries, "distance": 50_000, "dissolve": true},
		func(s status) {
			if s.Progress >= shown+20 || s.Status == "successful" {
				fmt.Fprintf(d.w, "  %3d %%  %s\n", s.Progress, strings.TrimSuffix(s.Status+": "+s.Message, ": "))
				shown = s.Progress
			}
		})
	if err != nil {
		return nil, err
	}
	result := outputs["result"]
	in, err := features(countries)
	if err != nil {
		return nil, err
	}
	out, err := features(result)
	if err != nil {
		return nil, err
	}
	path, err := d.write("coast.geojson", result)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(d.w, "  %d features in, %d out, %s -> %s\n", in, out, since(start), path)
	return result, nil
}

// sea takes the land off the buffers.
func (d demo) sea(coast, countries json.RawMessage) error {
	start := time.Now()
	sea, err := d.overlay("difference", coast, countries)
	if err != nil {
		return err
	}
	path, err := d.write("coastal-waters.geojson", sea.Result)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.w, "overlay, synchronous: difference of that and the land, then the land by climate zone")
	fmt.Fprintf(d.w, "  %-20s %18s %s, %s -> %s\n", "sea within 50 km", "", square(sea.Area), since(start), path)
	return nil
}

// land cuts the countries by each zone: two layers, attributes kept.
func (d demo) land(countries, zones json.RawMessage) error {
	var list layer
	if err := json.Unmarshal(zones, &list); err != nil {
		return fmt.Errorf("read zones: %w", err)
	}
	for _, zone := range list.Features {
		var about struct{ Properties struct{ Zone string } }
		if err := json.Unmarshal(zone, &about); err != nil {
			return fmt.Errorf("read zones: %w", err)
		}
		start := time.Now()
		clipped, err := d.overlay("clip", countries, zone)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.w, "  %-20s in %3d countries %s, %s\n", about.Properties.Zone, clipped.Count, square(clipped.Area), since(start))
	}
	all, err := d.overlay("intersection", countries, zones)
	if err != nil {
		return err
	}
	path, err := d.write("land-by-zone.geojson", all.Result)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.w, "  %-20s in %3d pieces    %s -> %s\n", "all land", all.Count, square(all.Area), path)
	return nil
}

func (d demo) overlay(operation string, a, b json.RawMessage) (pieces, error) {
	outputs, err := d.client.execute(d.ctx, "overlay", map[string]any{"a": a, "b": b, "operation": operation})
	if err != nil {
		return pieces{}, err
	}
	p := pieces{Result: outputs["result"]}
	if err := json.Unmarshal(outputs["count"], &p.Count); err != nil {
		return pieces{}, fmt.Errorf("output count of overlay: %w", err)
	}
	if err := json.Unmarshal(outputs["area"], &p.Area); err != nil {
		return pieces{}, fmt.Errorf("output area of overlay: %w", err)
	}
	return p, nil
}

func (d demo) write(name string, text json.RawMessage) (string, error) {
	path := filepath.Join(d.out, name)
	return path, os.WriteFile(path, text, 0o644)
}

// features counts the features of a collection.
func features(text json.RawMessage) (int, error) {
	var l layer
	if err := json.Unmarshal(text, &l); err != nil || l.Type != "FeatureCollection" {
		return 0, fmt.Errorf("the result is not a GeoJSON FeatureCollection: %.100s", text)
	}
	return len(l.Features), nil
}

func square(metres2 float64) string { return fmt.Sprintf("%6.2f million km²", metres2/1e12) }

func since(start time.Time) string { return fmt.Sprintf("%.2f s", time.Since(start).Seconds()) }
