package remote

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestAddressesAreClassified(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]class{
		"8.8.8.8": public, "93.184.216.34": public, "172.15.255.255": public, "172.32.0.0": public, "100.63.255.255": public,
		"100.128.0.0": public, "192.167.255.255": public, "11.0.0.0": public, "126.255.255.255": public, "223.255.255.255": public,
		"2606:2800:220:1::": public, "2001:4860:4860::8888": public, "2a00::1": public, "::ffff:8.8.8.8": public, "64:ff9b::808:808": public,

		"127.0.0.1": private, "127.255.255.255": private, "10.0.0.0": private, "10.255.255.255": private, "172.16.0.0": private,
		"172.31.255.255": private, "192.168.0.1": private, "100.64.0.0": private, "100.127.255.255": private,
		"::1": private, "fc00::": private, "fd12:3456::1": private, "::ffff:127.0.0.1": private, "::ffff:10.0.0.1": private,
		"64:ff9b::7f00:1": private, "64:ff9b::10.0.0.1": private, "::ffff:a00:1": private,

		"0.0.0.0": special, "0.1.2.3": special, "169.254.169.254": special, "169.254.0.1": special, "224.0.0.1": special,
		"239.255.255.255": special, "240.0.0.1": special, "255.255.255.255": special, "192.0.0.1": special, "192.0.2.1": special,
		"198.18.0.1": special, "198.19.255.255": special, "198.51.100.1": special, "203.0.113.9": special, "192.88.99.1": special,
		"::": special, "fe80::1": special, "fe80::1%eth0": special, "fec0::1": special, "ff02::1": special, "2001:db8::1": special,
		"::127.0.0.1": special, "2002:7f00:1::": special, "2002:808:808::1": special, "2001:0:808:808::1": special,
		"64:ff9b:1::7f00:1": special, "3fff::1": special, "::ffff:169.254.169.254": special, "64:ff9b::169.254.169.254": special,
		"::ffff:0:7f00:1": special, "100::1": special, "5f00::1": special, "4000::1": special, "fd00:ec2::254": private,
	} {
		if got := classOf(plain(netip.MustParseAddr(text))); got != want {
			t.Errorf("%s is of class %d, want %d", text, got, want)
		}
	}
	if classOf(netip.Addr{}) != special {
		t.Error("no address is one that may be used")
	}
}

// What the standard library knows of addresses is never taken for public.
func TestNoAddressIsMorePublicThanTheLibraryKnows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var a netip.Addr
		if rapid.Bool().Draw(t, "IPv4") {
			a = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")))
		} else {
			b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
			copy(b[:], rapid.SampledFrom([]string{"", "\xfe\x80", "\xfd", "\xff", "\x20\x02", "\x00\x64\xff\x9b", "\x00\x00\x00"}).Draw(t, "prefix"))
			a = netip.AddrFrom16(b)
		}
		known := a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || !a.IsGlobalUnicast()
		if known && classOf(plain(a)) == public {
			t.Errorf("%s is taken for public", a)
		}
	})
}

// An IPv4 address is judged the same in every spelling that IPv6 has for it.
func TestIPv4InIPv6IsJudgedAsIPv4(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes"))
		b[0] = rapid.SampledFrom([]byte{0, 10, 100, 127, 169, 172, 192, 198, 203, 224, 8, b[0]}).Draw(t, "first")
		a := netip.AddrFrom4(b)
		translated := nat64.Addr().As16()
		copy(translated[12:], b[:])
		for _, other := range []netip.Addr{netip.AddrFrom16(a.As16()), netip.AddrFrom16(translated)} {
			if plain(other) != a || classOf(plain(other)) != classOf(a) {
				t.Errorf("%s is not judged as %s", other, a)
			}
		}
		sixToFour := netip.AddrFrom16([16]byte{0x20, 0x02, b[0], b[1], b[2], b[3]})
		if classOf(plain(sixToFour)) == public {
			t.Errorf("%s is taken for public", sixToFour)
		}
	})
}
