package trust

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever an operator and the contents of a plugin do one after another, what
// runs is what the history of the policies allows.
func TestHistoriesDecideAsTheyShould(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l, err := Open("")
		if err != nil {
			t.Fatal(err)
		}
		pinned, first := map[string]bool{}, map[string]bool{}
		var ran []string // under Any, and neither pinned nor a first use; the last is last
		drop := func(content string) {
			ran = slices.DeleteFunc(ran, func(c string) bool { return c == content })
		}
		for n := range rapid.IntRange(1, 30).Draw(t, "events") {
			content := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "content")
			hash := hashOf(content)
			switch event := rapid.SampledFrom([]string{"any", "tofu", "pinned", "pin", "forget", "forget all"}).Draw(t, "event"); event {
			case "pin":
				if _, err := l.Pin("p", hash, at(n)); err != nil {
					t.Fatal(err)
				}
				pinned[content], first[content] = true, false
				drop(content)
			case "forget", "forget all":
				if event == "forget all" {
					hash = ""
					clear(pinned)
					clear(first)
					ran = nil
				}
				if _, err := l.Forget("p", hash); err != nil {
					t.Fatal(err)
				}
				pinned[content], first[content] = false, false
				drop(content)
			default:
				some := func(m map[string]bool) bool { return m["a"] || m["b"] || m["c"] }
				want := true
				switch event {
				case "pinned":
					want = pinned[content]
				case "tofu":
					switch {
					case some(pinned) || some(first):
						want = pinned[content] || first[content]
					case len(ran) > 0:
						want = ran[len(ran)-1] == content
					}
				}
				pin, err := l.Judge(Policy(event), nil, Content{Plugin: "p", Path: "/p", Hash: hash}, at(n))
				if (err == nil) != want {
					t.Fatalf("%s under %s: %v; pinned %v, first %v, ran %v", content, event, err, pinned, first, ran)
				}
				if err != nil {
					continue
				}
				if err := l.Record("p", pin); err != nil {
					t.Fatal(err)
				}
				if pinned[content] || first[content] {
					continue
				}
				drop(content)
				if event == "tofu" {
					first[content] = true
				} else {
					ran = append(ran, content)
				}
			}
		}
	})
}
