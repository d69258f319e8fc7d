package wire

import (
	"context"

	"geomill/proto/processv1"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Plugin is go-plugin's glue, made by PluginSet. On the host side dispensing
// ServiceName yields a *Client.
type Plugin struct {
	goplugin.NetRPCUnsupportedPlugin
	server *Server // nil on the host side
}

// GRPCServer registers both services of the contract.
func (p *Plugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	p.server.register(s)
	return nil
}

// GRPCClient returns a *Client.
func (p *Plugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return NewClient(c), nil
}

// PluginSet is the VersionedPlugins of go-plugin's configuration. The host
// passes nil.
func PluginSet(s *Server) map[int]goplugin.PluginSet {
	return map[int]goplugin.PluginSet{ProtocolVersion: {ServiceName: &Plugin{server: s}}}
}

// window is how much may be under way without an answer, in bytes: more than a
// frame. A fixed window also spares gRPC its pings to find one.
const window = 1 << 20

// GRPCServerOptions is what the plugin adds to the gRPC server that go-plugin
// asks it for: go-plugin's own default refuses messages above 4 MiB.
func GRPCServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
	}
}

// GRPCDialOptions is what the host adds to go-plugin's dial options, whose
// own default accepts messages of any size.
func GRPCDialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(callOptions()...),
		grpc.WithInitialWindowSize(window),
		grpc.WithInitialConnWindowSize(window),
	}
}

func callOptions() []grpc.CallOption {
	return []grpc.CallOption{
		grpc.MaxCallRecvMsgSize(MaxMessageBytes),
		grpc.MaxCallSendMsgSize(MaxMessageBytes),
	}
}

var (
	_ goplugin.GRPCPlugin            = (*Plugin)(nil)
	_ processv1.ControlServiceServer = (*control)(nil)
	_ processv1.ProcessServiceServer = (*processes)(nil)
)
