package plugin

import (
	"bytes"
	"regexp"
)

// blockProcesses is how processes look at the top level of a manifest in block
// style: their value is a mapping, in block or flow style. A list that nothing
// closes is a mistake in a manifest rather than another kind of file.
var blockProcesses = regexp.MustCompile(`(?m)^["']?processes["']?[ \t]*:(?:[ \t]+[&!]\S+)*[ \t]*` +
	`(?:\{|\[[^\]]*\z|(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*[ \t]+(?:[^-\s#]|-\S))`)

var (
	// flowStart is what may stand before a document in flow style.
	flowStart = regexp.MustCompile(`^(?:\s|#.*\n|---(?:[ \t]+|\r?\n))*\{`)
	// flowProcesses is how processes look as a member of it.
	flowProcesses = regexp.MustCompile(`^["']?processes["']?\s*:\s*\{`)
)

// describesProcesses reports whether a text looks like a manifest, even one with
// a mistake: it is a mapping with processes at its top level, which are a mapping.
func describesProcesses(text []byte) bool {
	start := flowStart.Find(text)
	if start == nil {
		return blockProcesses.Match(text)
	}
	depth, name := 1, true // whether the name of a member may begin here
	for text = text[len(start):]; len(text) > 0 && depth > 0; {
		if depth == 1 && name && flowProcesses.Match(text) {
			return true
		}
		n := 1
		switch c := text[0]; c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"', '\'':
			n = quoted(text)
		}
		name = name && bytes.IndexByte([]byte(" \t\r\n"), text[0]) >= 0 || text[0] == ','
		text = text[n:]
	}
	return false
}

// quoted returns the length of the quoted text at the beginning of one.
func quoted(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && text[0] == '"':
			i++
		case text[i] == text[0]:
			return i + 1
		}
	}
	return len(text)
}
