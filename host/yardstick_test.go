package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/julienschmidt/httprouter"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The yardstick is the least that could serve hello-world from a plugin: an
// httprouter handler that makes one unary call through go-plugin. It checks
// nothing and keeps nothing. This test binary is its server and its plugin, as
// the environment says.

const roleKey = "GEOMILL_YARDSTICK"

func TestMain(m *testing.M) {
	switch os.Getenv(roleKey) {
	case "server":
		serveYardstick()
	case "session":
		serveSession()
	case "plugin":
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: unaryHandshake, Plugins: goplugin.PluginSet{"unary": unary{}}, GRPCServer: goplugin.DefaultGRPCServer})
	default:
		code := m.Run()
		_ = os.RemoveAll(buildDir)
		os.Exit(code)
	}
}

var unaryHandshake = goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "GEOMILL_UNARY", MagicCookieValue: "yes"}

const unaryMethod = "/geomill.Unary/Hello"

type unary struct {
	goplugin.NetRPCUnsupportedPlugin
}

// GRPCServer registers a service with one method from bytes to bytes.
func (unary) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "geomill.Unary", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Hello",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.BytesValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			var request struct{ Inputs struct{ Name string } }
			if err := json.Unmarshal(in.Value, &request); err != nil {
				return nil, err
			}
			out, err := json.Marshal(map[string]string{"id": "echo", "value": "Hello " + request.Inputs.Name + "!"})
			return wrapperspb.Bytes(out), err
		},
	}}}, struct{}{})
	return nil
}

func (unary) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

func serveYardstick() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleKey+"=plugin")
	client := goplugin.NewClient(&goplugin.ClientConfig{HandshakeConfig: unaryHandshake, Plugins: goplugin.PluginSet{"unary": unary{}},
		Cmd: cmd, SkipHostEnv: true, AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC}, Logger: hclog.NewNullLogger()})
	defer client.Kill()
	protocol, err := client.Client()
	exitOn(err)
	raw, err := protocol.Dispense("unary")
	exitOn(err)
	conn := raw.(*grpc.ClientConn)

	router := httprouter.New()
	router.POST("/processes/:id/execution", func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		body, err := io.ReadAll(r.Body)
		out := new(wrapperspb.BytesValue)
		if err == nil {
			err = conn.Invoke(r.Context(), unaryMethod, wrapperspb.Bytes(body), out)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out.Value)
	})
	serveUntilInterrupted(router)
}

func serveUntilInterrupted(h http.Handler) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	exitOn(err)
	fmt.Printf("listening on http://%s\n", l.Addr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	go func() { exitOn(http.Serve(l, h)) }()
	<-stop
}

func exitOn(err error) {
	if err != nil && !strings.Contains(err.Error(), "closed") {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// yardstick is the command of its server.
func yardstick(b testing.TB) *exec.Cmd {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleKey+"=server")
	return cmd
}
