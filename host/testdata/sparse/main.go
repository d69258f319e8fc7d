// Command sparse is a plugin whose output is a file of any size that takes no
// room on the disk: zeros, and an end mark.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"geomill/sdk"
)

type inputs struct {
	Bytes int64 `json:"bytes" jsonschema:"minimum=3"`
}

type outputs struct {
	Raster sdk.File `json:"raster" jsonschema:"contentMediaType=image/tiff"`
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "sparse", Version: "1.0.0"},
		sdk.New(sdk.Info{ID: "sparse", Title: "Sparse", Version: "1.0.0"}, run))
}

func run(job *sdk.Job, in inputs) (outputs, error) {
	dir, err := job.Dir()
	if err != nil {
		return outputs{}, err
	}
	name := filepath.Join(dir, "raster")
	f, err := os.Create(name)
	if err != nil {
		return outputs{}, fmt.Errorf("create raster: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("end"), in.Bytes-3); err != nil {
		return outputs{}, fmt.Errorf("write raster: %w", err)
	}
	return outputs{Raster: sdk.File{Path: name}}, f.Close()
}
