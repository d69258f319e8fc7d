package plugin

import (
	"context"
	"errors"

	"geomill/sdk/wire"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// handshakeConfig is the host's side of go-plugin's handshake.
var handshakeConfig = goplugin.HandshakeConfig{
	ProtocolVersion:  wire.ProtocolVersion,
	MagicCookieKey:   wire.CookieKey,
	MagicCookieValue: wire.CookieValue,
}

// pluginSets is what go-plugin can dispense: a *wire.Client.
var pluginSets = map[int]goplugin.PluginSet{wire.ProtocolVersion: {wire.ServiceName: glue{}}}

// glue implements goplugin.GRPCPlugin for the host, which serves none.
type glue struct {
	goplugin.NetRPCUnsupportedPlugin
}

// GRPCServer implements goplugin.GRPCPlugin.
func (glue) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the host is no plugin")
}

// GRPCClient implements goplugin.GRPCPlugin.
func (glue) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire.NewClient(c), nil
}
