package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"geomill/host/internal/job"
)

func TestRedirectsAreFollowedWithoutCredentials(t *testing.T) {
	t.Parallel()
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s%s", r.Header.Get("Referer"), r.Header.Get("Cookie"))
	})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		switch r.URL.Path {
		case "/secret":
			http.Redirect(w, r, "/again", http.StatusFound)
		default:
			http.Redirect(w, r, other.URL, http.StatusMovedPermanently)
		}
	})
	content, _, err := fetch(t, client(t), s.URL+"/secret?token=1")
	if err != nil || content != "" {
		t.Errorf("the last server was told %q, %v", content, err)
	}
}

func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	hops := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		hops++
		switch r.URL.Path {
		case "/6":
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		default:
			http.Redirect(w, r, fmt.Sprintf("/%d", hops+1), http.StatusTemporaryRedirect)
		}
	})
	if _, _, err := fetch(t, client(t), s.URL+"/1"); err != nil || hops != 6 {
		t.Errorf("five redirects: %v after %d hops", err, hops)
	}
	hops = 0
	_, _, err := fetch(t, client(t), s.URL+"/loop")
	fails(t, err, job.RemoteBadAnswer)
	if hops != 6 {
		t.Errorf("a loop was followed %d times", hops)
	}
	hops = 0
	_, _, err = fetch(t, client(t, func(p *Policy) { p.MaxRedirects = -1 }), s.URL+"/loop")
	fails(t, err, job.RemoteBadAnswer)
	if hops != 1 {
		t.Errorf("without redirects there were %d hops", hops)
	}
}

func TestARedirectIsCheckedLikeAURL(t *testing.T) {
	t.Parallel()
	forbidden := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the forbidden server was asked") })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Location"] = []string{r.URL.Query().Get("to")}
		w.WriteHeader(http.StatusFound)
	})
	port := func(u string) string { return u[strings.LastIndex(u, ":")+1:] }
	c := client(t, func(p *Policy) { p.Private, p.Allow = false, []string{"127.0.0.1:" + port(s.URL)} })
	if _, _, err := fetch(t, c, s.URL+"/?to=%2Fnowhere"); err == nil {
		t.Fatal("a redirect to nowhere is no content")
	}
	for _, to := range []string{
		forbidden.URL, "http://localhost:" + port(forbidden.URL), "//127.0.0.2/", "http://169.254.169.254/latest", "http://[::1]/", "http://[::ffff:127.0.0.1]:1/",
		"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:70/", "javascript:alert(1)", "data:,a", "http://user:pass@" + strings.TrimPrefix(s.URL, "http://"),
		"http://2130706433:" + port(s.URL), "http://0x7f.1:" + port(s.URL), "http:///a",
	} {
		r, err := http.NewRequest("GET", s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := r.URL.Query()
		q.Set("to", to)
		_, _, err = fetch(t, c, s.URL+"/?"+q.Encode())
		fails(t, err, job.RemoteRefused)
	}
}

// A name says nothing: the address counts, at the moment of connecting.
func TestANameThatLeadsToAPrivateAddressIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	table := map[string][]string{"loop.test": {"127.0.0.1"}, "ten.test": {"10.0.0.1"}, "metadata.test": {"169.254.169.254"}, "none.test": {"0.0.0.0"}}
	resolver := names(t, table)
	for _, policy := range []func(*Policy){
		func(p *Policy) { p.Private = false },
		func(p *Policy) { p.Private, p.Allow = false, []string{"*.test"} },
		func(p *Policy) { p.Private, p.Allow = false, []string{"10.9.0.0/16"} },
		func(p *Policy) { p.Deny = []string{"127.0.0.0/8", "10.0.0.0/8"} },
	} {
		c := client(t, policy, func(p *Policy) { p.Resolver = resolver })
		for name := range table {
			_, _, err := fetch(t, c, "http://"+name+":"+port)
			fails(t, err, job.RemoteRefused)
		}
	}
}

// TestANameThatChangesItsAddressIsCheckedAgain has a server that is allowed at
// one address, redirects to itself by name, and is then somewhere else.
func TestANameThatChangesItsAddressIsCheckedAgain(t *testing.T) {
	t.Parallel()
	inside := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the private server was asked") })
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	asked := 0
	raw(t, "127.0.0.2:"+port, func(conn net.Conn) {
		asked++
		answer("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://rebind.test:" + port + "/\r\nContent-Length: 0\r\n\r\n")(conn)
	})
	c := client(t, func(p *Policy) {
		p.Private, p.Allow = false, []string{"127.0.0.2"}
		p.Resolver = names(t, map[string][]string{"rebind.test": {"127.0.0.2", "127.0.0.1"}})
	})
	_, _, err := fetch(t, c, "http://rebind.test:"+port)
	fails(t, err, job.RemoteRefused)
	if asked != 1 {
		t.Errorf("the allowed server was asked %d times", asked)
	}
}

func TestNamesThatAreAllowedAreReached(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	resolver := names(t, map[string][]string{"a.test": {"127.0.0.1"}, "b.test": {"127.0.0.1"}})
	c := client(t, func(p *Policy) { p.Allow, p.Resolver = []string{"a.test"}, resolver })
	if content, _, err := fetch(t, c, "http://A.test:"+port); err != nil || content != "A.test:"+port {
		t.Errorf("%q, %v", content, err)
	}
	_, _, err := fetch(t, c, "http://b.test:"+port)
	fails(t, err, job.RemoteRefused)
}

func TestExchangesAreBounded(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	c := client(t, func(p *Policy) { p.MaxExchanges = 1 })
	first := make(chan error, 1)
	go func() {
		_, err := c.Fetch(context.Background(), job.Reference{Href: s.URL, Method: "GET"}, new(counter))
		first <- err
	}()
	<-arrived
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if _, err := c.Fetch(ctx, job.Reference{Href: s.URL, Method: "GET"}, new(counter)); !errors.Is(err, gone) {
		t.Errorf("the second did not wait for the first: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	go func() { <-arrived }()
	if _, _, err := fetch(t, c, s.URL); err != nil {
		t.Errorf("the slot was not given back: %v", err)
	}
}

func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	c := client(t)
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("there is a proxy")
	}
}
