// Command kinds is a plugin for tests of the host: its process gives back values of
// every kind that the SDK has.
package main

import (
	"geomill/sdk"
)

type values struct {
	Box      *sdk.BBox    `json:"box,omitempty"`
	Shape    sdk.Geometry `json:"shape,omitempty"`
	One      *sdk.Feature `json:"one,omitempty"`
	Day      *sdk.Date    `json:"day,omitempty"`
	Distance *sdk.Measure `json:"distance,omitempty"`
	Link     *sdk.Ref     `json:"link,omitempty"`
	Numbers  []int        `json:"numbers,omitempty" ogc:"maxOccurs=3"`
	Table    *sdk.File    `json:"table,omitempty" jsonschema:"contentMediaType=text/csv,contentMediaType=application/geo+json,contentMediaType=image/png"`
	Wanted   string       `json:"wanted,omitempty"`
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "kinds", Version: "1.0.0"}, sdk.New(sdk.Info{ID: "kinds"}, func(job *sdk.Job, in values) (values, error) {
		in.Wanted = job.Format("table")
		if in.Box != nil { // ahead of the others
			if err := job.Output("box", *in.Box); err != nil {
				return values{}, err
			}
			in.Box = nil
		}
		return in, nil
	}))
}
