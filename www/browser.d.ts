// What browsers have and TypeScript's DOM library does not declare.

interface SaveFilePickerOptions {
  suggestedName?: string;
  startIn?: "downloads";
}

declare var showSaveFilePicker: ((options?: SaveFilePickerOptions) => Promise<FileSystemFileHandle>) | undefined;

interface FileSystemDirectoryHandle {
  keys(): AsyncIterableIterator<string>;
}

/** In workers only. */
interface SyncAccessHandle {
  write(data: Uint8Array, options?: { at: number }): number;
  flush(): void;
  close(): void;
}

interface FileSystemFileHandle {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
}
