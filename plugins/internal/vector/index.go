package vector

import (
	"slices"

	"github.com/peterstace/simplefeatures/geom"
	"github.com/peterstace/simplefeatures/rtree"
)

// index finds the features whose envelopes meet that of a geometry.
type index struct {
	features []Feature
	tree     *rtree.RTree
}

func newIndex(layer Layer) index {
	var items []rtree.BulkItem
	for i, f := range layer.Features {
		if box, ok := f.Geometry.Envelope().AsBox(); ok {
			items = append(items, rtree.BulkItem{Box: box, RecordID: i})
		}
	}
	return index{layer.Features, rtree.BulkLoad(items)}
}

// near returns the candidates in the order of their layer.
func (x index) near(g geom.Geometry) []Feature {
	box, ok := g.Envelope().AsBox()
	if !ok {
		return nil
	}
	var found []int
	// The search only ever returns an error of its callback.
	_ = x.tree.RangeSearch(box, func(i int) error {
		found = append(found, i)
		return nil
	})
	slices.Sort(found)
	features := make([]Feature, len(found))
	for i, at := range found {
		features[i] = x.features[at]
	}
	return features
}
