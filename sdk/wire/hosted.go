package wire

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"geomill/proto/processv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Names that go-plugin gives to what both ends exchange.
const (
	socketDirVariable   = "PLUGIN_UNIX_SOCKET_DIR"
	certificateVariable = "PLUGIN_CLIENT_CERT"
	healthName          = "plugin"
)

// Started reports whether a host started this program, rather than a person.
func Started() bool { return os.Getenv(CookieKey) == CookieValue }

// Hosted is the plugin's end of the connection to the host that started the
// program. It speaks go-plugin's protocol without go-plugin, whose other protocols
// a program would otherwise set up at each start.
type Hosted struct {
	listener net.Listener
	grpc     *grpc.Server
}

// Listen makes the socket of a plugin. Serve then serves s on it.
func Listen(s *Server) (*Hosted, error) {
	if os.Getenv(certificateVariable) != "" {
		return nil, errors.New("the host asks for TLS, which is not part of the contract of plugins")
	}
	// A host of go-plugin's own names no directory, and need not be in the same one.
	name := filepath.Join(cmp.Or(os.Getenv(socketDirVariable), os.TempDir()), "plugin"+rand.Text()[:8])
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, fmt.Errorf("make the socket of the plugin: %w", err)
	}
	h := &Hosted{listener: l, grpc: NewGRPCServer(s)}
	h.grpc.RegisterService(&controller, h)
	h.grpc.RegisterService(&stdio, h)
	h.grpc.RegisterService(&broker, h)
	return h, nil
}

// Serve writes the handshake to out, the standard output that the program was
// started with, and serves the host until that ends the plugin, or Stop does.
func (h *Hosted) Serve(out io.Writer) error {
	// One version is all there is; the host says what does not fit.
	line := fmt.Sprintf("1|%d|unix|%s|grpc|\n", ProtocolVersion, h.listener.Addr())
	if _, err := io.WriteString(out, line); err != nil {
		return errors.Join(fmt.Errorf("write the handshake: %w", err), h.listener.Close())
	}
	go prepare() // while the host connects
	return h.grpc.Serve(h.listener)
}

// prepare has protobuf look at the types of messages that every start exchanges, and
// every job, which it does once for each and takes longer than the messages do.
func prepare() {
	for _, m := range []proto.Message{
		&processv1.GetInfoRequest{}, &processv1.GetInfoResponse{}, &processv1.ConfigureRequest{Limits: &processv1.Limits{}}, &processv1.ConfigureResponse{},
	} {
		proto.Size(m)
	}
}

// Close closes the socket of a plugin that does not serve after all.
func (h *Hosted) Close() error { return h.listener.Close() }

// Stop takes no more calls and returns when those under way have ended.
func (h *Hosted) Stop() { h.grpc.GracefulStop() }

// NewGRPCServer returns a gRPC server with the services of the contract, for a
// plugin that is reached in another way than by Listen.
func NewGRPCServer(s *Server) *grpc.Server {
	server := grpc.NewServer(GRPCServerOptions()...)
	s.Register(server)
	healthy := health.NewServer()
	healthy.SetServingStatus(healthName, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, healthy)
	return server
}

// The services of go-plugin, in its plugin.GRPC* protocol buffers, whose messages
// are not used: a host ends the plugin by the first, and keeps the others open.
var (
	controller = grpc.ServiceDesc{
		ServiceName: "plugin.GRPCController",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Shutdown", Handler: shutdown}},
	}
	stdio = grpc.ServiceDesc{
		ServiceName: "plugin.GRPCStdio",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "StreamStdio", Handler: hold, ServerStreams: true}},
	}
	broker = grpc.ServiceDesc{
		ServiceName: "plugin.GRPCBroker",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "StartStream", Handler: hold, ServerStreams: true, ClientStreams: true}},
	}
)

func shutdown(srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := new(emptypb.Empty)
	if err := decode(in); err != nil {
		return nil, err
	}
	srv.(*Hosted).grpc.Stop()
	return in, nil
}

// hold keeps a stream open until the plugin ends, or its host.
func hold(_ any, stream grpc.ServerStream) error {
	<-stream.Context().Done()
	return nil
}
