package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"geomill/host/internal/archive"
	"geomill/host/internal/store"
)

// spareSpace is the free disk space that a restore leaves, in bytes.
const spareSpace = 128 << 20

// restorable is what the files of a backup may be called, but for the records.
var restorable = regexp.MustCompile(`^(cursor\.key|` +
	`jobs/` + uuidPattern + `/in/[A-Za-z0-9_~:-][A-Za-z0-9._~:-]{0,255}|` +
	`store/logs/[0-9a-f]{2}/` + uuidPattern + `|` +
	`store/results/` + uuidPattern + `/[A-Za-z0-9-]{1,64}/[0-9]{1,9})$`)

const uuidPattern = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`

// Restore makes a data directory of a backup. The directory must be empty or not
// exist; it gets its content in one step, once all of it is on disk and known to
// be what was backed up. After an error nothing has changed.
func Restore(ctx context.Context, r io.Reader, data string, log *slog.Logger) (BackupSummary, error) {
	target, err := restoreTarget(data)
	if err != nil {
		return BackupSummary{}, fmt.Errorf("restore: %w", err)
	}
	site, err := openSite(target)
	if err != nil {
		return BackupSummary{}, fmt.Errorf("restore: %w", err)
	}
	summary, err := site.build(ctx, r, log)
	if err == nil {
		err = site.moveTo(target)
	}
	if err != nil {
		return BackupSummary{}, fmt.Errorf("restore: %w", errors.Join(err, site.remove()))
	}
	return BackupSummary{Jobs: summary.Jobs, Bytes: summary.Bytes}, site.lock.Close()
}

// restoreTarget returns the absolute path of the directory, links resolved, if it
// is empty or absent.
func restoreTarget(data string) (string, error) {
	target, err := filepath.Abs(data)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(target); err == nil {
		target = real
	}
	content, err := os.ReadDir(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Stat(filepath.Dir(target))
		return target, err
	case err != nil:
		return "", err
	case len(content) > 0:
		return "", fmt.Errorf("%s is not empty: restore into a new directory", data)
	}
	return target, nil
}

// site is the directory beside the target in which a backup is unpacked.
type site struct {
	path string
	lock *os.File // of the directory
	root *os.Root
}

// openSite takes the place of a restore that was killed, if there was one.
func openSite(target string) (*site, error) {
	s := &site{path: filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".geomill-restore")}
	if err := os.Mkdir(s.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	var err error
	if s.lock, err = os.OpenFile(s.path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0); err != nil {
		return nil, err
	}
	if err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = s.lock.Close()
		return nil, fmt.Errorf("another restore into %s is under way", target)
	}
	if err = empty(s.path); err == nil {
		s.root, err = os.OpenRoot(s.path)
	}
	if err != nil {
		_ = s.lock.Close()
		return nil, err
	}
	return s, nil
}

// remove removes the site and what is in it.
func (s *site) remove() error {
	return errors.Join(os.RemoveAll(s.path), s.lock.Close())
}

// moveTo gives the site its name, in one step.
func (s *site) moveTo(target string) error {
	if err := unix.Syncfs(int(s.lock.Fd())); err != nil {
		return fmt.Errorf("write to disk: %w", err)
	}
	err := unix.Rename(s.path, target) // os.Rename refuses an empty directory too
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%s is a mount point: restore into a directory below it", target)
	}
	if err != nil {
		return fmt.Errorf("rename to %s: %w", target, err)
	}
	parent, err := os.Open(filepath.Dir(target))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// build unpacks a backup and opens what it has made, as a server would.
func (s *site) build(ctx context.Context, r io.Reader, log *slog.Logger) (archive.Summary, error) {
	defer s.root.Close()
	a, err := archive.NewReader(r)
	if err != nil {
		return archive.Summary{}, err
	}
	defer a.Close()
	for _, dir := range []string{jobsDir, storeDir} {
		if err := s.root.Mkdir(dir, 0o700); err != nil {
			return archive.Summary{}, err
		}
	}
	dir := filepath.Join(s.path, storeDir)
	loader, err := store.NewLoader(dir, log)
	if err != nil {
		return archive.Summary{}, err
	}
	if err := s.unpack(ctx, a, loader); err != nil {
		loader.Abort()
		return archive.Summary{}, err
	}
	if err := loader.Close(); err != nil {
		return archive.Summary{}, err
	}
	opened, err := store.Open(store.Config{Dir: dir, JobsDir: filepath.Join(s.path, jobsDir), Logger: log})
	if err != nil {
		return archive.Summary{}, err
	}
	return a.Summary(), opened.Close()
}

func (s *site) unpack(ctx context.Context, a *archive.Reader, loader *store.Loader) error {
	for {
		part, err := a.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.checkSpace(part.Size); err != nil {
			return err
		}
		if strings.HasPrefix(part.Name, storeDir+"/records/") {
			err = loader.Records(part)
		} else {
			err = s.unpackFile(part)
		}
		if err != nil {
			return err
		}
	}
}

func (s *site) unpackFile(part *archive.Part) (err error) {
	if !restorable.MatchString(part.Name) {
		return fmt.Errorf("the backup has a file that is none of Geomill's: %.200q", part.Name)
	}
	if err := s.root.MkdirAll(path.Dir(part.Name), 0o700); err != nil {
		return err
	}
	f, err := s.root.OpenFile(part.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the backup has %s twice", part.Name)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, part)
	return errors.Join(err, f.Close())
}

// checkSpace refuses a part that does not fit on the disk.
func (s *site) checkSpace(size int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.lock.Fd()), &st); err != nil {
		return fmt.Errorf("measure free disk space: %w", err)
	}
	if free := st.Bavail * uint64(st.Bsize); uint64(size)+spareSpace > free {
		return fmt.Errorf("the disk is almost full: %d bytes are free, %d are needed", free, uint64(size)+spareSpace)
	}
	return nil
}
