package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"geomill/sdk/wire"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/julienschmidt/httprouter"
	"google.golang.org/grpc"
)

// BenchmarkSyncBound is the yardstick with a job of the session in place of its
// unary call, in the bundled hello-world: what BenchmarkSync could reach if the host
// checked nothing, kept nothing and limited nothing.
func BenchmarkSyncBound(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleKey+"=session", boundPlugin+"="+filepath.Join(built(b), "plugins", "hello-world"))
	bound := startProcess(b, cmd)
	yard := startProcess(b, yardstick(b))
	k := post("/processes/hello-world/execution", greeting)
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) { compare(b, n, bound.addr, yard.addr, k, k) })
	}
}

// boundPlugin names the environment variable with the plugin of serveSession.
const boundPlugin = "GEOMILL_BOUND_PLUGIN"

// sessionGlue is what go-plugin needs to know of a plugin made with the SDK.
type sessionGlue struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (sessionGlue) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }

func (sessionGlue) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire.NewClient(c), nil
}

type noEvents struct{}

func (noEvents) Progress(float64, string) {}

func (noEvents) Log(slog.Level, string, json.RawMessage) {}

func serveSession() {
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: wire.ProtocolVersion, MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{wire.ProtocolVersion: {wire.ServiceName: sessionGlue{}}}, GRPCDialOptions: wire.GRPCDialOptions(),
		Cmd: exec.Command(os.Getenv(boundPlugin)), AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC}, Logger: hclog.NewNullLogger(),
	})
	defer client.Kill()
	ctx := context.Background()
	protocol, err := client.Client()
	exitOn(err)
	raw, err := protocol.Dispense(wire.ServiceName)
	exitOn(err)
	plugin := raw.(*wire.Client)
	_, err = plugin.Info(ctx)
	exitOn(err)
	_, err = plugin.Configure(ctx, nil, wire.Limits{})
	exitOn(err)
	session, err := plugin.OpenSession(ctx)
	exitOn(err)
	dir, err := os.MkdirTemp("", "geomill-bound-")
	exitOn(err)
	defer os.RemoveAll(dir)

	var jobs atomic.Int64
	router := httprouter.New()
	router.POST("/processes/:id/execution", func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		body, err := io.ReadAll(r.Body)
		var in struct{ Inputs map[string]json.RawMessage }
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		var out wire.Values
		if err == nil {
			out, err = session.Run(r.Context(), wire.Start{JobID: strconv.FormatInt(jobs.Add(1), 10), ProcessID: p.ByName("id"), Attempt: 1, Dir: dir,
				Inputs: wire.Values{{ID: "name", Value: wire.Value{JSON: in.Inputs["name"]}}}}, time.Second, noEvents{})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out.Get("echo").JSON)
	})
	serveUntilInterrupted(router)
}
