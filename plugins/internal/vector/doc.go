// Package vector is the geometry that the bundled vector processes share: it
// reads GeoJSON layers, keeps their attributes as they came, buffers by a
// distance in metres, overlays two layers, measures areas, and writes GeoJSON.
// It knows neither the SDK nor the host; its central type is [Layer].
//
// # What an edge is
//
// Positions are longitude and latitude in degrees on WGS 84 (OGC CRS84), and
// an edge between two positions is the straight line in the longitude-latitude
// plane, as RFC 7946 section 3.1.1 says, not the geodesic. Altitudes are
// dropped.
//
// # Antimeridian and poles
//
// A feature that crosses the antimeridian is expected cut there (RFC 7946
// section 3.1.9). One that runs past it instead, with longitudes up to ±360,
// is cut on reading. Results are always cut, so a crossing area comes back as
// a MultiPolygon between -180 and 180. An edge from 179 to -179 is what it
// says: a line of 358 degrees the long way round. An area that holds a pole
// has edges at latitude ±90 and at longitude ±180; they bound nothing on the
// globe, and neither buffers nor areas take them for a border.
package vector
