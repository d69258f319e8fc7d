package vector

import (
	"math"

	"github.com/peterstace/simplefeatures/geom"
)

// The WGS 84 ellipsoid. Lengths are in metres.
const (
	equatorialRadius = 6378137.0
	flattening       = 1 / 298.257223563
	polarRadius      = equatorialRadius * (1 - flattening)
	meanRadius       = (2*equatorialRadius + polarRadius) / 3

	eccentricitySquared = flattening * (2 - flattening)
)

const degree = math.Pi / 180

// iterations is where Vincenty's series are given up. They converge in less
// than ten steps unless the two points are nearly opposite on the globe, and
// no caller measures so far.
const iterations = 100

// destination returns the position at the given distance (metres) from a
// position along the geodesic that leaves it at an azimuth (radians, clockwise
// from north). It is Vincenty's direct solution, good to 0.1 mm.
func destination(from geom.XY, azimuth, distance float64) geom.XY {
	if distance == 0 {
		return from
	}
	sinAzimuth, cosAzimuth := math.Sincos(azimuth)
	sinU1, cosU1 := reducedLatitude(from.Y * degree)
	sigma1 := math.Atan2(sinU1, cosU1*cosAzimuth)
	sinAlpha := cosU1 * sinAzimuth
	cos2Alpha := 1 - sinAlpha*sinAlpha
	a, b := vincentySeries(cos2Alpha)

	start := distance / (polarRadius * a)
	sigma := start
	for range iterations {
		next := start + sigmaCorrection(sigma, math.Cos(2*sigma1+sigma), b)
		done := math.Abs(next-sigma) < 1e-15
		sigma = next
		if done {
			break
		}
	}
	sinSigma, cosSigma := math.Sincos(sigma)
	cos2SigmaM := math.Cos(2*sigma1 + sigma)
	t := sinU1*sinSigma - cosU1*cosSigma*cosAzimuth
	latitude := math.Atan2(sinU1*cosSigma+cosU1*sinSigma*cosAzimuth,
		(1-flattening)*math.Hypot(sinAlpha, t))
	lambda := math.Atan2(sinSigma*sinAzimuth, cosU1*cosSigma-sinU1*sinSigma*cosAzimuth)
	longitude := lambda - longitudeCorrection(sigma, sinSigma, cosSigma, cos2SigmaM, sinAlpha, cos2Alpha)
	return geom.XY{X: from.X + longitude/degree, Y: latitude / degree}
}

// bearing returns the geodesic distance (metres) between two positions and the
// azimuth (radians, clockwise from north) at which it leaves the first. It is
// Vincenty's inverse solution, good to 0.1 mm for points that are not nearly
// opposite on the globe.
func bearing(from, to geom.XY) (distance, azimuth float64) {
	longitude := math.Remainder(to.X-from.X, 360) * degree
	sinU1, cosU1 := reducedLatitude(from.Y * degree)
	sinU2, cosU2 := reducedLatitude(to.Y * degree)

	lambda := longitude
	for range iterations {
		sinLambda, cosLambda := math.Sincos(lambda)
		x, y := cosU2*sinLambda, cosU1*sinU2-sinU1*cosU2*cosLambda
		sinSigma := math.Hypot(x, y)
		if sinSigma == 0 {
			return 0, 0
		}
		cosSigma := sinU1*sinU2 + cosU1*cosU2*cosLambda
		sigma := math.Atan2(sinSigma, cosSigma)
		sinAlpha := cosU1 * cosU2 * sinLambda / sinSigma
		cos2Alpha := 1 - sinAlpha*sinAlpha
		cos2SigmaM := 0.0
		if cos2Alpha > 0 {
			cos2SigmaM = cosSigma - 2*sinU1*sinU2/cos2Alpha
		}
		next := longitude + longitudeCorrection(sigma, sinSigma, cosSigma, cos2SigmaM, sinAlpha, cos2Alpha)
		done := math.Abs(next-lambda) < 1e-14
		lambda = next
		if done {
			a, b := vincentySeries(cos2Alpha)
			correction := sigmaCorrectionOf(sinSigma, cosSigma, cos2SigmaM, b)
			return polarRadius * a * (sigma - correction), math.Atan2(x, y)
		}
	}
	return math.NaN(), math.NaN()
}

func reducedLatitude(latitude float64) (sin, cos float64) {
	sin, cos = math.Sincos(latitude)
	sin *= 1 - flattening
	length := math.Hypot(sin, cos)
	return sin / length, cos / length
}

func vincentySeries(cos2Alpha float64) (a, b float64) {
	const second = 1/((1-flattening)*(1-flattening)) - 1
	u2 := cos2Alpha * second
	a = 1 + u2/16384*(4096+u2*(-768+u2*(320-175*u2)))
	b = u2 / 1024 * (256 + u2*(-128+u2*(74-47*u2)))
	return a, b
}

func sigmaCorrection(sigma, cos2SigmaM, b float64) float64 {
	sinSigma, cosSigma := math.Sincos(sigma)
	return sigmaCorrectionOf(sinSigma, cosSigma, cos2SigmaM, b)
}

func sigmaCorrectionOf(sinSigma, cosSigma, c, b float64) float64 {
	return b * sinSigma * (c + b/4*(cosSigma*(2*c*c-1)-b/6*c*(4*sinSigma*sinSigma-3)*(4*c*c-3)))
}

func longitudeCorrection(sigma, sinSigma, cosSigma, cos2SigmaM, sinAlpha, cos2Alpha float64) float64 {
	c := flattening / 16 * cos2Alpha * (4 + flattening*(4-3*cos2Alpha))
	return (1 - c) * flattening * sinAlpha *
		(sigma + c*sinSigma*(cos2SigmaM+c*cosSigma*(2*cos2SigmaM*cos2SigmaM-1)))
}
