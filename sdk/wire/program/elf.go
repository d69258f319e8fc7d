package program

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"runtime"
)

// systemOf returns the system that a foreign program was built for, or "".
func systemOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("MZ")):
		return "Windows"
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")), bytes.HasPrefix(head, []byte("\xce\xfa\xed\xfe")), bytes.HasPrefix(head, []byte("\xca\xfe\xba\xbe")):
		return "macOS"
	case !bytes.HasPrefix(head, []byte(elf.ELFMAG)) || len(head) < 20:
		return ""
	}
	name := architecture(head)
	systems := map[elf.OSABI]string{elf.ELFOSABI_FREEBSD: "freebsd", elf.ELFOSABI_NETBSD: "netbsd", elf.ELFOSABI_OPENBSD: "openbsd", elf.ELFOSABI_SOLARIS: "solaris"}
	system, ok := systems[elf.OSABI(head[elf.EI_OSABI])]
	if !ok {
		system = "linux"
	}
	if system == runtime.GOOS && name == runtime.GOARCH {
		return "" // if anything is wrong with it, it is something else
	}
	return system + "/" + name
}

// architecture is Go's name for the machine that an ELF program is for, or that of
// the format for one that Go does not know.
func architecture(head []byte) string {
	machine := elf.Machine(order(head).Uint16(head[18:]))
	wide, big := head[elf.EI_CLASS] == byte(elf.ELFCLASS64), order(head) == binary.BigEndian
	switch {
	case machine == elf.EM_PPC64 && big:
		return "ppc64"
	case machine == elf.EM_MIPS:
		name := "mips"
		if wide {
			name += "64"
		}
		if !big {
			name += "le"
		}
		return name
	}
	names := map[elf.Machine]string{elf.EM_AARCH64: "arm64", elf.EM_X86_64: "amd64", elf.EM_386: "386", elf.EM_ARM: "arm",
		elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64"}
	if name, ok := names[machine]; ok {
		return name
	}
	return machine.String()
}

func order(head []byte) binary.ByteOrder {
	if head[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// segment is an entry of the program header of a 64-bit program.
type segment struct {
	kind         elf.ProgType
	offset, size uint64 // in the file, bytes
}

// segments returns what the beginning of a program has of its program header;
// none of one of 32 bits, which is not for here anyhow.
func segments(head []byte) []segment {
	const entry = 56
	if len(head) < 64 || !bytes.HasPrefix(head, []byte(elf.ELFMAG)) || head[elf.EI_CLASS] != byte(elf.ELFCLASS64) {
		return nil
	}
	o := order(head)
	at, count := o.Uint64(head[32:]), int(o.Uint16(head[56:]))
	if o.Uint16(head[54:]) != entry {
		return nil
	}
	var list []segment
	for range count {
		if at > uint64(len(head)) || uint64(len(head))-at < entry {
			break
		}
		e := head[at:]
		list = append(list, segment{elf.ProgType(o.Uint32(e)), o.Uint64(e[8:]), o.Uint64(e[32:])})
		at += entry
	}
	return list
}

// loaderOf returns the loader that a dynamically linked program names, or "".
func loaderOf(head []byte) string {
	for _, s := range segments(head) {
		if s.kind == elf.PT_INTERP && s.offset < uint64(len(head)) && s.size <= uint64(len(head))-s.offset {
			return string(bytes.TrimRight(head[s.offset:s.offset+s.size], "\x00"))
		}
	}
	return ""
}

// cutOff reports whether a program of this size, in bytes, lacks its end.
func cutOff(head []byte, size int64) bool {
	for _, s := range segments(head) {
		if s.kind == elf.PT_LOAD && size > 0 && (s.offset > uint64(size) || s.size > uint64(size)-s.offset) {
			return true
		}
	}
	return false
}
